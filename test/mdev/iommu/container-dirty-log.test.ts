import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Container, type DeviceSession, type DmaRange, type MdevDevice } from '../../../src/mdev/index.ts';
import { memoryFile } from '../../../src/native/binding.ts';
import { coreOf } from '../../../src/native/device-handle.ts';
import { acmeDevice } from '../support/acme.ts';
import { CONFIG } from '../support/guest.ts';

const PAGE = 4096n;
const PAGES = 64;
const FIRST = 0x100n;
const all = { iova: FIRST * PAGE, size: BigInt(PAGES) * PAGE };

/** Pages of the map, by number. */
function range(first: number, count: number): DmaRange {
  return { iova: all.iova + BigInt(first) * PAGE, size: BigInt(count) * PAGE };
}

function bitsOf(bitmap: Uint8Array): number[] {
  return Array.from({ length: 8 * bitmap.length }, (_, bit) => bit).filter(
    (bit) => (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1,
  );
}

/** Devices of one container, with memory of 64 pages in two maps. */
class Setting implements Disposable {
  readonly container = new Container({ name: 'vm7', model: { kind: 'map-all' } });
  readonly sessions: (DeviceSession | undefined)[] = [];
  readonly #devices: readonly MdevDevice[];
  readonly #file = memoryFile(Number(all.size));

  private constructor(devices: readonly MdevDevice[]) {
    this.#devices = devices;
    this.container.dmaMap({ ...range(0, 24), file: this.#file });
    this.container.dmaMap({ ...range(24, 40), file: this.#file, offset: 24n * PAGE });
  }

  static async of(count: number): Promise<Setting> {
    const devices: MdevDevice[] = [];
    while (devices.length < count) devices.push(await acmeDevice());
    return new Setting(devices);
  }

  attach(index: number): void {
    const session = this.#devices[index]?.open({ name: 'vmm' }, { container: this.container });
    session?.sync.writeRegion(CONFIG, 4, Uint8Array.of(6, 0));
    this.sessions[index] = session;
  }

  detach(index: number): void {
    this.sessions[index]?.sync.close();
    this.sessions[index] = undefined;
  }

  /** A device writes a byte of a page. Returns the errno. */
  write(index: number, page: number): number {
    const device = this.#devices[index];
    if (device === undefined) throw new RangeError('no such device');
    return coreOf(device.handle).dmaWrite(all.iova + BigInt(page) * PAGE + 99n, Uint8Array.of(1));
  }

  [Symbol.dispose](): void {
    for (const index of this.sessions.keys()) this.detach(index);
    this.container.close();
    this.#file.close();
  }
}

type Step =
  | { readonly kind: 'attach'; readonly device: number }
  | { readonly kind: 'detach'; readonly device: number }
  | { readonly kind: 'write'; readonly device: number; readonly page: number }
  | { readonly kind: 'report'; readonly first: number; readonly count: number; readonly shift: number };

const device = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('attach' as const, 'detach' as const), device }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), device, page: fc.nat(PAGES - 1) }) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        kind: fc.constant('report' as const),
        first: fc.nat(PAGES - 1),
        count: fc.nat(PAGES),
        shift: fc.nat(3),
      })
      .map((report) => ({ ...report, count: Math.max(1, Math.min(report.count, PAGES - report.first)) })),
  },
);

describe('the dirty pages of a container', () => {
  test('are those that any of its devices wrote, whoever came and left', async () => {
    using setting = await Setting.of(3);
    const { container } = setting;
    const property = fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.option(fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: PAGES }))),
      (steps, part) => {
        const [first, count] = part === null ? [0, PAGES] : [part[0], Math.min(part[1], PAGES - part[0])];
        container.dmaLogging.start(PAGE, part === null ? [] : [range(first, count)]);
        const dirty = new Set<number>();
        for (const one of steps) {
          if (one.kind === 'attach' || one.kind === 'detach') {
            const attached = setting.sessions[one.device] !== undefined;
            if (attached !== (one.kind === 'attach')) setting[one.kind](one.device);
          } else if (one.kind === 'write') {
            const attached = setting.sessions[one.device] !== undefined;
            expect(setting.write(one.device, one.page) === 0).toBe(attached);
            if (attached) dirty.add(one.page);
          } else {
            // What is asked for has to be logged.
            const from = Math.max(one.first, first);
            const pages = Math.min(one.first + one.count, first + count) - from;
            if (pages < 1) continue;
            const pageSize = Math.min(1 << one.shift, pages > 7 ? 8 : 1);
            const asked = [...dirty].filter((page) => page >= from && page < from + pages);
            const expected = [...new Set(asked.map((page) => Math.floor((page - from) / pageSize)))];
            const bitmap = container.dmaLogging.report(range(from, pages), BigInt(pageSize) * PAGE);
            expect(bitsOf(bitmap)).toEqual(expected.sort((a, b) => a - b));
            for (const page of asked) dirty.delete(page);
          }
        }
        container.dmaLogging.stop();
      },
    );
    fc.assert(property, { numRuns: 150 });
  });

  test('are told at an unmap, through any of its sessions, and gone from all', async () => {
    using setting = await Setting.of(2);
    const { container, sessions } = setting;
    setting.attach(0);
    setting.attach(1);
    expect(() => container.dmaLogging.unmap(range(0, 24), PAGE)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(container.dmaLogging.start(PAGE)).toBe(PAGE);
    for (const [index, page] of [
      [0, 3],
      [1, 5],
      [1, 30],
    ] as const) {
      setting.write(index, page);
    }
    setting.detach(1);
    expect(bitsOf(sessions[0]?.sync.dmaLogging.unmap(range(0, 24), PAGE) ?? new Uint8Array(0))).toEqual([3, 5]);
    expect([setting.write(0, 3), setting.write(0, 30)].map((errno) => errno === 0)).toEqual([false, true]);
    expect(bitsOf(container.dmaLogging.report(range(24, 40), PAGE))).toEqual([6]);
    expect(bitsOf(container.dmaLogging.report(range(24, 40), PAGE))).toEqual([]);
  });

  test.each([
    ['everything is logged', [], []],
    ['ranges are logged, which outlive maps', [all], [7]],
  ])('of a device that has left are forgotten with a map where %s', async (_, ranges, kept) => {
    for (const unmap of ['dmaUnmap', 'dmaUnmapAll'] as const) {
      using setting = await Setting.of(2);
      const { container } = setting;
      setting.attach(0);
      setting.attach(1);
      container.dmaLogging.start(PAGE, ranges);
      setting.write(0, 7);
      setting.write(0, 30);
      setting.detach(0);
      if (unmap === 'dmaUnmap') container.dmaUnmap(range(0, 24));
      else container.dmaUnmapAll();
      const file = memoryFile(Number(all.size));
      container.dmaMap({ ...range(0, 24), file });
      file.close();
      expect(bitsOf(container.dmaLogging.report(range(0, 24), PAGE))).toEqual(kept);
      if (unmap === 'dmaUnmap') expect(bitsOf(container.dmaLogging.report(range(24, 40), PAGE))).toEqual([6]);
    }
  });

  test('are all that there are when the log of a device was ended by its own client', async () => {
    using setting = await Setting.of(2);
    const { container, sessions } = setting;
    setting.attach(0);
    setting.attach(1);
    container.dmaLogging.start(PAGE);
    sessions[1]?.sync.dmaLogging.stop();
    expect(bitsOf(container.dmaLogging.report(range(2, 5), PAGE))).toEqual([0, 1, 2, 3, 4]);
    setting.write(1, 3);
    expect(bitsOf(container.dmaLogging.report(range(2, 5), PAGE))).toEqual([1]);
    sessions[1]?.sync.dmaLogging.stop();
    setting.detach(1);
    expect(bitsOf(container.dmaLogging.report(range(0, 3), PAGE))).toEqual([0, 1, 2]);
  });

  test('are not logged beside the log of a device’s own client, and all devices log or none', async () => {
    using setting = await Setting.of(2);
    const { container, sessions } = setting;
    setting.attach(0);
    setting.attach(1);
    sessions[1]?.sync.dmaLogging.start(PAGE);
    expect(() => container.dmaLogging.start(PAGE)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    sessions[1]?.sync.dmaLogging.stop();
    expect(() => container.dmaLogging.start(3n)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => container.dmaLogging.report(all, PAGE)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    container.dmaLogging.start(PAGE);
    // As in the kernel, the same again changes nothing, and something else is refused.
    container.dmaLogging.start(PAGE);
    expect(() => container.dmaLogging.start(PAGE, [range(0, 1)])).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    container.dmaLogging.stop();
    container.dmaLogging.stop();
    container.dmaLogging.start(PAGE, [range(0, 1)]);
  });
});
