import { constants } from 'node:os';

import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';

import { Container, defaultDmaLimits, type DmaLimits, type MdevDevice, VfioError } from '../../../src/mdev/index.ts';
import { memoryFile } from '../../../src/native/binding.ts';
import { coreOf } from '../../../src/native/device-handle.ts';
import { acmeDevice, acmeInstance } from '../support/acme.ts';
import { CONFIG, errnoOf } from '../support/guest.ts';

const PAGE = 4096n;
const mapAll = { kind: 'map-all' } as const;

function mapsOf(device: MdevDevice): (readonly [bigint, bigint])[] {
  return coreOf(device.handle)
    .dmaMaps()
    .map(({ iova, size }) => [iova, size] as const);
}

function limited(dma: Partial<DmaLimits>): Promise<MdevDevice> {
  return acmeDevice(undefined, { dma: { ...defaultDmaLimits, ...dma } });
}

describe('devices in one container', () => {
  test('have the same memory, whoever maps it, and those that come later have it too', async () => {
    const [first, second] = [await acmeInstance(), await acmeInstance()];
    const memory = memoryFile(0x2000);
    using container = new Container({ name: 'vm7', model: mapAll });
    container.dmaMap({ iova: 0n, size: PAGE, file: memory });
    using one = first.device.open({ name: 'vmm' }, { container });
    one.sync.dmaMap({ iova: PAGE, size: PAGE, file: memory, offset: PAGE });
    using two = second.device.open({ name: 'vmm' }, { container });
    for (const session of [one, two]) session.sync.writeRegion(CONFIG, 4, Uint8Array.of(6, 0));

    await first.context.dma.write(0x1000n, Uint8Array.of(1));
    const read = new Uint8Array(1);
    await second.context.dma.read(0x1000n, read);
    expect(read[0]).toBe(1);
    expect(container.info()).toMatchObject({
      model: mapAll,
      mappingsAvailable: 65_533n,
      devices: [expect.stringContaining(first.device.uuid), expect.stringContaining(second.device.uuid)] as unknown,
    });

    // A map that is there already is no new one.
    two.sync.dmaMap({ iova: PAGE, size: PAGE, file: memory, offset: PAGE });
    expect(two.sync.dmaInfo()).toMatchObject({ mappingsAvailable: 65_533n });
    two.sync.dmaUnmap({ iova: PAGE, size: PAGE });
    await expect(first.context.dma.write(0x1000n, Uint8Array.of(2))).rejects.toMatchObject({ code: 'EFAULT' });
    two.sync.close();
    expect([mapsOf(first.device), mapsOf(second.device)]).toEqual([[[0n, PAGE]], []]);
    expect(() => {
      container.close();
    }).toThrow(
      expect.objectContaining({ code: 'EBUSY', message: expect.stringContaining(first.device.uuid) as string }),
    );
    one.sync.dmaUnmapAll();
    expect(mapsOf(first.device)).toEqual([]);
    one.sync.close();
    memory.close();
  });

  test('are told which of them refuses a map, and none has it', async () => {
    const [wide, narrow] = [await acmeDevice(), await limited({ windows: [{ first: 0n, last: 0xffffn }] })];
    const memory = memoryFile(0x1000);
    using container = new Container({ name: 'vm7', model: mapAll });
    using _wide = wide.open({ name: 'vmm' }, { container });
    using session = narrow.open({ name: 'vmm' }, { container });
    await expect(session.dmaMap({ iova: 0x1_0000n, size: PAGE, file: memory })).rejects.toMatchObject({
      code: 'EINVAL',
      message: `dmaMap was refused with EINVAL by instance ${narrow.uuid} (acme0, channel) in container vm7`,
    });
    expect([mapsOf(wide), mapsOf(narrow), container.info().mappingsAvailable]).toEqual([[], [], 65_535n]);
    expect(container.info().windows).toEqual([{ first: 0n, last: 0xffffn }]);
    memory.close();
  });

  test('a device that cannot have what is mapped is not attached', async () => {
    const device = await limited({ maxMappings: 1 });
    const memory = memoryFile(0x2000);
    using container = new Container({ name: 'vm7', model: mapAll });
    container.dmaMap({ iova: 0n, size: PAGE, file: memory });
    container.dmaMap({ iova: 0x10_0000n, size: PAGE, file: memory });
    expect(() => device.open({ name: 'vmm' }, { container })).toThrow(
      expect.objectContaining({
        code: 'EINVAL',
        message:
          `container vm7 has a map of 0x1000 bytes at 0x100000 that instance ${device.uuid} (acme0, channel) refuses ` +
          'with ENOSPC',
      }),
    );
    expect([mapsOf(device), device.state, device.group.inUse]).toEqual([[], 'created', false]);
    container.dmaUnmap({ iova: 0n, size: PAGE });
    device.open({ name: 'vmm' }, { container }).sync.close();
    memory.close();
  });

  test('keep their maps while a VMM exchanges the memory behind them, and fault meanwhile', async () => {
    const [first, second] = [await acmeInstance(), await acmeInstance()];
    const [before, after] = [memoryFile(0x2000), memoryFile(0x3000)];
    new Uint8Array(before.buffer).fill(1);
    new Uint8Array(after.buffer).fill(2);
    using container = new Container({ name: 'vm7', model: mapAll });
    using one = first.device.open({ name: 'vmm' }, { container });
    using two = second.device.open({ name: 'vmm' }, { container });
    for (const session of [one, two]) session.sync.writeRegion(CONFIG, 4, Uint8Array.of(6, 0));
    const sees = async ({ context }: typeof first, iova: bigint): Promise<number | undefined> => {
      const read = new Uint8Array(1);
      await context.dma.read(iova, read);
      return read[0];
    };
    container.dmaMap({ iova: 0n, size: 2n * PAGE, file: before });
    container.dmaMap({ iova: 2n * PAGE, size: PAGE, file: before });
    expect(await sees(first, 0n)).toBe(1);

    container.invalidateVaddr({ iova: 0n, size: 2n * PAGE });
    for (const instance of [first, second]) {
      await expect(sees(instance, 0n)).rejects.toMatchObject({ code: 'EFAULT' });
      expect(await sees(instance, 2n * PAGE)).toBe(1);
      expect(mapsOf(instance.device)).toHaveLength(2);
    }
    const { EEXIST, EINVAL, ENOENT } = constants.errno;
    const refusals = [
      errnoOf(() => {
        container.invalidateVaddr({ iova: 0n, size: 3n * PAGE });
      }),
      errnoOf(() => {
        container.dmaMap({ iova: 0n, size: PAGE, file: after });
      }),
      ...[0n, 2n * PAGE, 9n * PAGE].map((iova) =>
        errnoOf(() => {
          container.restoreVaddr({ iova, size: PAGE, file: after });
        }),
      ),
    ];
    expect(refusals).toEqual([EINVAL, EEXIST, EINVAL, EINVAL, ENOENT]);
    const late = await acmeDevice();
    expect(() => late.open({ name: 'vmm' }, { container })).toThrow(
      expect.objectContaining({ code: 'EBUSY', message: 'the memory at 0x0 of container vm7 is being exchanged' }),
    );

    container.restoreVaddr({ iova: 0n, size: 2n * PAGE, file: after, offset: PAGE });
    for (const instance of [first, second]) {
      expect([await sees(instance, 0n), await sees(instance, 2n * PAGE)]).toEqual([2, 1]);
    }
    late.open({ name: 'vmm' }, { container }).sync.close();
    before.close();
    after.close();
  });

  test('a container has limits of its own', () => {
    const memory = memoryFile(0x2000);
    using container = new Container({ name: 'vm7', model: mapAll, limits: { maxMappings: 1 } });
    container.dmaMap({ iova: 0n, size: PAGE, file: memory });
    expect(() => {
      container.dmaMap({ iova: PAGE, size: PAGE, file: memory });
    }).toThrow(expect.objectContaining({ code: 'ENOSPC', message: 'dmaMap was refused with ENOSPC by container vm7' }));
    expect(() => new Container({ name: 'x', model: mapAll, limits: { pageSizes: 3n } })).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    );
    memory.close();
  });

  test('memory without a file is answered for every device, also one that comes later, until it is unmapped', async () => {
    const [first, second] = [await acmeInstance(), await acmeInstance()];
    const memory = new Uint8Array(0x2000).fill(7);
    using container = new Container({ name: 'vm7', model: mapAll });
    using one = first.device.open({ name: 'vmm' }, { container });
    one.sync.dmaMap({ iova: PAGE, memory });
    using two = second.device.open({ name: 'vmm' }, { container });
    for (const session of [one, two]) session.sync.writeRegion(CONFIG, 4, Uint8Array.of(6, 0));
    for (const [index, { context }] of [first, second].entries()) {
      const read = new Uint8Array(2);
      await context.dma.read(0x1ffen, read);
      expect([...read]).toEqual([7, 7]);
      await context.dma.write(0x2000n + BigInt(index), Uint8Array.of(index + 1));
    }
    expect([...memory.subarray(0x1000, 0x1003)]).toEqual([1, 2, 7]);
    // The same map with other memory: what answers from now on.
    const other = new Uint8Array(0x2000).fill(9);
    container.dmaMap({ iova: PAGE, memory: other });
    const read = new Uint8Array(1);
    await first.context.dma.read(0x1000n, read);
    expect(read[0]).toBe(9);
    one.sync.close();
    await second.context.dma.write(0x1000n, Uint8Array.of(3));
    expect([other[0], memory[0]]).toEqual([3, 7]);
    two.sync.dmaUnmap({ iova: PAGE, size: 0x2000n });
    await expect(second.context.dma.write(0x1000n, Uint8Array.of(4))).rejects.toMatchObject({ code: 'EFAULT' });
    // What is mapped there next has nothing of it.
    container.dmaMap({ iova: PAGE, size: PAGE });
    await expect(second.context.dma.write(0x1000n, Uint8Array.of(4))).rejects.toMatchObject({ code: 'EFAULT' });
    expect(other[0]).toBe(3);
  });

  test('it reports no dirty pages that it does not log', async () => {
    const device = await acmeDevice();
    using container = new Container({ name: 'vm7', model: mapAll });
    using session = device.open({ name: 'vmm' }, { container });
    expect(() => session.sync.dmaLogging.unmap({ iova: 0n, size: PAGE }, PAGE)).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
    session.sync.dmaLogging.start(PAGE);
  });

  test('a closed one is of no use', async () => {
    const device = await acmeDevice();
    const container = new Container({ name: 'vm7', model: mapAll });
    container.close();
    container.close();
    for (const use of [
      () => container.info(),
      () => {
        container.dmaUnmapAll();
      },
      () => device.open({ name: 'vmm' }, { container }),
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'ENODEV' }));
    }
    expect(device.group.inUse).toBe(false);
  });
});

describe('the model of a container', () => {
  const behind = (bridge: string) => ({ kind: 'guest-visible', bridge }) as const;

  test.each([
    [mapAll, undefined, undefined],
    [behind('pcie.1'), 'pcie.1', undefined],
    [mapAll, 'pcie.1', ['map-all', 'guest-visible (bridge pcie.1)']],
    [behind('pcie.1'), undefined, ['guest-visible (bridge pcie.1)', 'map-all']],
    [behind('pcie.1'), 'pcie.2', ['guest-visible (bridge pcie.1)', 'guest-visible (bridge pcie.2)']],
  ] as const)('%j and a device behind bridge %s', async (model, bridge, mismatch) => {
    const device = await acmeDevice();
    using container = new Container({ name: 'vm7', model });
    const open = (): void => {
      device.open({ name: 'vmm' }, { container, ...(bridge === undefined ? {} : { bridge }) }).sync.close();
    };
    if (mismatch === undefined) open();
    else {
      const message = `container vm7 is ${mismatch[0]}, and instance ${device.uuid} (acme0, channel) is to be ${mismatch[1]}`;
      expect(open).toThrow(expect.objectContaining({ code: 'EINVAL', message }));
    }
    expect([device.state, device.group.inUse]).toEqual(['created', false]);
  });
});

/** What devices and the container take: pages and maps. */
const LIMITS: readonly Partial<DmaLimits>[] = [
  {},
  { maxMappings: 3 },
  {
    windows: [
      { first: 0n, last: 4n * PAGE - 1n },
      { first: 6n * PAGE, last: 15n * PAGE - 1n },
    ],
  },
  { pageSizes: 2n * PAGE },
];
type Map2 = readonly [first: bigint, pages: bigint];
type Step =
  | { readonly do: 'map' | 'unmap'; readonly at: bigint; readonly pages: bigint }
  | { readonly do: 'attach' | 'detach'; readonly device: number }
  | { readonly do: 'unmapAll' };

function fits(limits: Partial<DmaLimits>, [first, pages]: Map2): boolean {
  const { pageSizes, windows } = { ...defaultDmaLimits, ...limits };
  const [from, size] = [first * PAGE, pages * PAGE];
  return (
    (from | size) % pageSizes === 0n &&
    windows.some((window) => window.first <= from && from + size - 1n <= window.last)
  );
}

function maxOf(limits: Partial<DmaLimits>): number {
  return limits.maxMappings ?? defaultDmaLimits.maxMappings;
}

/** The errno of a map, by the devices' limits in the order in which they are asked, the container's being first. */
function mapErrno(maps: readonly Map2[], wanted: Map2, everybody: readonly Partial<DmaLimits>[]): number {
  const [at, pages] = wanted;
  for (const limits of everybody) {
    if (!fits(limits, wanted)) return 22;
    const overlapping = maps.filter(([first, length]) => first < at + pages && at < first + length);
    if (overlapping.length > 0) return overlapping.some(([f, n]) => f === at && n === pages) ? 0 : 17;
    if (maps.length >= maxOf(limits)) return 28;
  }
  return 0;
}

function unmapErrno(maps: readonly Map2[], at: bigint, pages: bigint): number {
  const touched = maps.filter(([first, length]) => first < at + pages && at < first + length);
  if (touched.length === 0) return 2;
  return touched.some(([first, length]) => first < at || first + length > at + pages) ? 22 : 0;
}

const page = fc.bigInt({ min: 0n, max: 15n });
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('map' as const), at: page, pages: fc.bigInt(1n, 4n) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('unmap' as const), at: page, pages: fc.bigInt(1n, 6n) }) },
    fc.record({ do: fc.constantFrom('attach' as const, 'detach' as const), device: fc.nat(LIMITS.length - 1) }),
    fc.constant({ do: 'unmapAll' as const }),
  ),
  { maxLength: 30 },
);

test('whatever is mapped and attached: all devices have what a model of one address space has', async () => {
  const memory = memoryFile(64 * 4096);
  const devices = await Promise.all(LIMITS.map((limits) => limited(limits)));
  fc.assert(
    fc.property(fc.constantFrom(...LIMITS), steps, (own, history: readonly Step[]) => {
      const container = new Container({ name: 'model', model: mapAll, limits: own });
      const attached: number[] = [];
      let maps: Map2[] = [];
      const limitsOf = (index: number): Partial<DmaLimits> => LIMITS[index] ?? {};
      const sort = (): Map2[] => maps.toSorted(([a], [b]) => Number(a - b));
      for (const step of history) {
        if (step.do === 'map') {
          const { at, pages } = step;
          const expected = mapErrno(maps, [at, pages], [own, ...attached.map(limitsOf)]);
          const request = { iova: at * PAGE, size: pages * PAGE, file: memory, offset: at * PAGE };
          expect(
            errnoOf(() => {
              container.dmaMap(request);
            }),
          ).toBe(expected);
          if (expected === 0 && !maps.some(([first]) => first === at)) maps.push([at, pages]);
        } else if (step.do === 'unmap') {
          const { at, pages } = step;
          const expected = unmapErrno(maps, at, pages);
          const range = { iova: at * PAGE, size: pages * PAGE };
          expect(
            errnoOf(() => {
              container.dmaUnmap(range);
            }),
          ).toBe(expected);
          if (expected === 0) maps = maps.filter(([first]) => first < at || first >= at + pages);
        } else if (step.do === 'unmapAll') {
          container.dmaUnmapAll();
          maps = [];
        } else if ('device' in step) {
          const device = devices[step.device];
          if (device === undefined) throw new Error('no such device');
          const limits = limitsOf(step.device);
          const wasAttached = attached.includes(step.device);
          if (step.do === 'detach') {
            device.attachment?.detach();
            if (wasAttached) attached.splice(attached.indexOf(step.device), 1);
          } else if (!wasAttached) {
            const welcome = maps.every((map) => fits(limits, map)) && maps.length <= maxOf(limits);
            const open = (): unknown => device.open({ name: 'vmm' }, { container });
            if (welcome) {
              open();
              attached.push(step.device);
            } else expect(open).toThrow(expect.objectContaining({ code: 'EINVAL' }));
          }
        }
        const expectedMaps = sort().map(([first, pages]) => [first * PAGE, pages * PAGE]);
        for (const [index, device] of devices.entries()) {
          expect(mapsOf(device)).toEqual(attached.includes(index) ? expectedMaps : []);
        }
        const info = container.info();
        const room = Math.min(...[own, ...attached.map(limitsOf)].map(maxOf)) - maps.length;
        expect(info.mappingsAvailable).toBe(BigInt(room));
        for (let first = 0n; first < 16n; first++) {
          const told =
            (first * PAGE) % (info.pageSizes & -info.pageSizes) === 0n &&
            info.windows.some(({ first: from, last }) => from <= first * PAGE && first * PAGE <= last);
          const granule = info.pageSizes / PAGE;
          const taken = [own, ...attached.map(limitsOf)].every((limits) => fits(limits, [first, granule]));
          expect(told || !taken).toBe(true);
        }
      }
      for (const device of devices) device.attachment?.detach();
      container.close();
    }),
    { numRuns: 150 },
  );
  memory.close();
  for (const device of devices) await device.close();
});

test('the errors are those of VFIO', () => {
  using container = new Container({ name: 'vm7', model: mapAll });
  expect(() => {
    container.dmaUnmap({ iova: 0n, size: PAGE });
  }).toThrow(VfioError);
});

test.each(['a container', 'its own memory'])(
  'memory without a file that is refused leaves nobody in %s who answers for it, and the event loop free',
  async (where) => {
    const device = await acmeDevice();
    const container = new Container({ name: 'vm7', model: mapAll });
    const session = device.open({ name: 'vmm' }, ...(where === 'a container' ? [{ container }] : []));
    const answers = vi.spyOn(coreOf(device.handle), 'setMessageMemory');
    const memory = new Uint8Array(0x1000);
    const refused = (): number =>
      errnoOf(() => {
        session.sync.dmaMap({ iova: 1n, memory });
      });
    expect(refused()).toBe(constants.errno.EINVAL);
    expect(answers.mock.calls).toEqual([[expect.anything()], [null]]);
    session.sync.dmaMap({ iova: 0n, memory });
    expect(refused()).toBe(constants.errno.EINVAL);
    // One that is there still is.
    expect(answers.mock.calls.slice(2)).toEqual([[expect.anything()]]);
    session.sync.close();
    container.close();
  },
);
