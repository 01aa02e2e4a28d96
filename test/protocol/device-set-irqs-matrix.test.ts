import { describe, expect, it } from 'vitest';

import { channelOf } from '../../src/vfio-user/client/client.ts';
import { eventfd, type EventFd } from '../../src/vfio-user/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { encodeSetIrqs } from '../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../vfio-user/support/bench.ts';
import { ERR, INTX, MSI, MSI_VECTORS, MSIX, MSIX_VECTORS, REQ } from '../vfio-user/support/test-device.ts';

const INDICES = { intx: INTX, msi: MSI, msix: MSIX, err: ERR, req: REQ } as const;
const COUNTS = { intx: 1, msi: MSI_VECTORS, msix: MSIX_VECTORS, err: 1, req: 1 } as const;
const DATA = { none: 1, bool: 2, eventfd: 4, removal: 4 } as const;
const ACTIONS = { mask: 8, unmask: 16, trigger: 32 } as const;
type Index = keyof typeof INDICES;
type Data = keyof typeof DATA;
type Action = keyof typeof ACTIONS;

/**
 * What a request for one vector ends with: while the index has no eventfd, while it has one, and while another of INTx, MSI
 * and MSI-X is enabled. `removal` is EVENTFD without a descriptor.
 *
 * As vfio-pci answers (drivers/vfio/pci/vfio_pci_intrs.c), but for ERR and REQ: masking them is EINVAL in vfio-user.
 */
const CELLS = `
  intx mask    none     EINVAL ok     EINVAL
  intx mask    bool     EINVAL ok     EINVAL
  intx mask    eventfd  EINVAL ENOTTY EINVAL
  intx mask    removal  EINVAL ENOTTY EINVAL
  intx unmask  none     EINVAL ok     EINVAL
  intx unmask  bool     EINVAL ok     EINVAL
  intx unmask  eventfd  EINVAL ok     EINVAL
  intx unmask  removal  EINVAL ok     EINVAL
  intx trigger none     EINVAL ok     EINVAL
  intx trigger bool     EINVAL ok     EINVAL
  intx trigger eventfd  ok     ok     EINVAL
  intx trigger removal  ok     ok     EINVAL
  msi  mask    none     ENOTTY ENOTTY ENOTTY
  msi  mask    bool     ENOTTY ENOTTY ENOTTY
  msi  mask    eventfd  ENOTTY ENOTTY ENOTTY
  msi  mask    removal  ENOTTY ENOTTY ENOTTY
  msi  unmask  none     ENOTTY ENOTTY ENOTTY
  msi  unmask  bool     ENOTTY ENOTTY ENOTTY
  msi  unmask  eventfd  ENOTTY ENOTTY ENOTTY
  msi  unmask  removal  ENOTTY ENOTTY ENOTTY
  msi  trigger none     EINVAL ok     EINVAL
  msi  trigger bool     EINVAL ok     EINVAL
  msi  trigger eventfd  ok     ok     EINVAL
  msi  trigger removal  ok     ok     EINVAL
  msix mask    none     ENOTTY ENOTTY ENOTTY
  msix mask    bool     ENOTTY ENOTTY ENOTTY
  msix mask    eventfd  ENOTTY ENOTTY ENOTTY
  msix mask    removal  ENOTTY ENOTTY ENOTTY
  msix unmask  none     ENOTTY ENOTTY ENOTTY
  msix unmask  bool     ENOTTY ENOTTY ENOTTY
  msix unmask  eventfd  ENOTTY ENOTTY ENOTTY
  msix unmask  removal  ENOTTY ENOTTY ENOTTY
  msix trigger none     EINVAL ok     EINVAL
  msix trigger bool     EINVAL ok     EINVAL
  msix trigger eventfd  ok     ok     EINVAL
  msix trigger removal  ok     ok     EINVAL
  err  mask    none     EINVAL EINVAL EINVAL
  err  mask    bool     EINVAL EINVAL EINVAL
  err  mask    eventfd  EINVAL EINVAL EINVAL
  err  mask    removal  EINVAL EINVAL EINVAL
  err  unmask  none     EINVAL EINVAL EINVAL
  err  unmask  bool     EINVAL EINVAL EINVAL
  err  unmask  eventfd  EINVAL EINVAL EINVAL
  err  unmask  removal  EINVAL EINVAL EINVAL
  err  trigger none     EINVAL ok     EINVAL
  err  trigger bool     ok     ok     ok
  err  trigger eventfd  ok     ok     ok
  err  trigger removal  ok     ok     ok
  req  mask    none     EINVAL EINVAL EINVAL
  req  mask    bool     EINVAL EINVAL EINVAL
  req  mask    eventfd  EINVAL EINVAL EINVAL
  req  mask    removal  EINVAL EINVAL EINVAL
  req  unmask  none     EINVAL EINVAL EINVAL
  req  unmask  bool     EINVAL EINVAL EINVAL
  req  unmask  eventfd  EINVAL EINVAL EINVAL
  req  unmask  removal  EINVAL EINVAL EINVAL
  req  trigger none     EINVAL ok     EINVAL
  req  trigger bool     ok     ok     ok
  req  trigger eventfd  ok     ok     ok
  req  trigger removal  ok     ok     ok
`;

const rows = CELLS.trim()
  .split('\n')
  .map((row) => row.trim().split(/ +/) as [Index, Action, Data, string, string, string]);

/** A client that says SET_IRQS in any words. */
class Requester implements AsyncDisposable {
  readonly bench = new Bench();
  readonly event: EventFd = eventfd();
  readonly #client = this.bench.client();

  /** "ok", or the errno's name. */
  async set(flags: number, index: Index, start: number, count: number, data: Uint8Array, fds: readonly number[]) {
    const channel = channelOf(await this.#client);
    try {
      const body = encodeSetIrqs({ flags, index: INDICES[index], start, count }, data);
      await channel.request(Command.deviceSetIrqs, body, fds);
      return 'ok';
    } catch (error) {
      return (error as { code?: string }).code;
    }
  }

  /** One vector, with the payload that goes with `data`. */
  one(index: Index, action: Action, data: Data, start = 0) {
    const payload = data === 'bool' ? Uint8Array.of(1) : new Uint8Array(0);
    return this.set(ACTIONS[action] | DATA[data], index, start, 1, payload, data === 'eventfd' ? [this.event.fd] : []);
  }

  /** No eventfd anywhere. */
  async off(): Promise<void> {
    for (const index of Object.keys(INDICES) as Index[]) {
      expect(await this.set(0x21, index, 0, 0, new Uint8Array(0), [])).toBe('ok');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]();
    this.event.close();
  }
}

describe('SET_IRQS: every index, action and kind of data', () => {
  it('has every cell once', () => {
    const cells = new Set(rows.map(([index, action, data]) => `${index} ${action} ${data}`));
    expect([rows.length, cells.size]).toEqual([60, 60]);
  });

  it.each(rows)('%s %s %s', async (index, action, data, off, on, other) => {
    await using requester = new Requester();
    expect(await requester.one(index, action, data)).toBe(off);
    await requester.off();
    expect(await requester.one(index, 'trigger', 'eventfd')).toBe('ok');
    expect(await requester.one(index, action, data)).toBe(on);
    await requester.off();
    expect(await requester.one(index === 'msix' ? 'intx' : 'msix', 'trigger', 'eventfd')).toBe('ok');
    expect(await requester.one(index, action, data)).toBe(other);
  });

  it.each(Object.keys(INDICES) as Index[])('%s: more or fewer than one action and one kind of data', async (index) => {
    await using requester = new Requester();
    expect(await requester.one(index, 'trigger', 'eventfd')).toBe('ok');
    const legal = new Set([1, 2, 4].flatMap((data) => [8, 16, 32].map((action) => data | action)));
    for (let flags = 0; flags < 128; ++flags) {
      if (legal.has(flags)) continue;
      expect([flags, await requester.set(flags, index, 0, 1, Uint8Array.of(1), [])]).toEqual([flags, 'EINVAL']);
    }
  });

  it.each(Object.keys(INDICES) as Index[])('%s: nothing to act on, or beyond the end', async (index) => {
    await using requester = new Requester();
    expect(await requester.one(index, 'trigger', 'eventfd')).toBe('ok');
    const none = new Uint8Array(0);
    const all = COUNTS[index];
    for (const action of [8, 16, 32]) {
      for (const data of [1, 2, 4]) {
        const flags = action | data;
        const disables = flags === 0x21;
        if (!disables) expect(await requester.set(flags, index, 0, 0, none, [])).toBe('EINVAL');
        for (const [start, count] of [
          [1, 0],
          [all, 1],
          [0, all + 1],
          [0xffff_ffff, 1],
          [1, 0xffff_ffff],
          [0, 0xffff_ffff],
        ] as const) {
          const payload = data === 2 ? new Uint8Array(Math.min(count, 4096)) : none;
          expect([flags, start, count, await requester.set(flags, index, start, count, payload, [])]).toEqual([
            flags,
            start,
            count,
            'EINVAL',
          ]);
        }
      }
    }
    // All that changed nothing.
    expect(await requester.one(index, 'trigger', 'none')).toBe('ok');
    expect(requester.event.read()).toBe(1);
  });

  it('booleans that are false act on nothing', async () => {
    await using requester = new Requester();
    const { core } = requester.bench.device;
    const { event } = requester;
    expect(await requester.one('intx', 'trigger', 'eventfd')).toBe('ok');
    for (const action of [8, 16, 32]) {
      expect(await requester.set(action | 2, 'intx', 0, 1, Uint8Array.of(0), [])).toBe('ok');
    }
    expect(event.read()).toBe(0);
    core.setIntxAsserted(true);
    expect(event.read()).toBe(1);
    expect(await requester.set(0x12, 'intx', 0, 1, Uint8Array.of(0), [])).toBe('ok');
    expect(event.read()).toBe(0);
    expect(await requester.set(0x12, 'intx', 0, 1, Uint8Array.of(7), [])).toBe('ok');
    expect(event.read()).toBe(1);
  });

  it('MSI has the vectors of the request that enabled it, MSI-X gets more one by one', async () => {
    await using requester = new Requester();
    const { event } = requester;
    for (const [index, growing] of [
      ['msi', 'EINVAL'],
      ['msix', 'ok'],
    ] as const) {
      const fds = [event.fd, event.fd];
      expect(await requester.set(0x24, index, 0, 2, new Uint8Array(0), fds)).toBe('ok');
      expect(await requester.one(index, 'trigger', 'eventfd', 1)).toBe('ok');
      expect(await requester.one(index, 'trigger', 'eventfd', 2)).toBe(growing);
      // Those without an eventfd are skipped.
      expect(await requester.set(0x21, index, 0, 8, new Uint8Array(0), [])).toBe('ok');
      expect(event.read()).toBe(growing === 'ok' ? 3 : 2);
      await requester.off();
    }
  });

  it('tables are separate: switching one index off leaves the others alone', async () => {
    await using requester = new Requester();
    const { core } = requester.bench.device;
    const none = new Uint8Array(0);
    for (const index of ['msix', 'err', 'req'] as const) {
      expect(await requester.one(index, 'trigger', 'eventfd')).toBe('ok');
    }
    for (const index of ['intx', 'msi', 'err'] as const) {
      expect(await requester.set(0x21, index, 0, 0, none, [])).toBe('ok');
    }
    for (const index of [MSIX, REQ, ERR]) core.triggerIrq(index, 0);
    expect(requester.event.read()).toBe(2);
  });
});
