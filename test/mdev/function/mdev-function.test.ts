import { describe, expect, test } from 'vitest';

import { memoryFile } from '../../../src/native/binding.ts';
import { coreOf } from '../../../src/native/device-handle.ts';
import { acmeDevice, acmeInstance, type AcmeContext, At } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

const EIO = 5;
const EFAULT = 14;

describe('reset', () => {
  async function resettable(): Promise<{ guest: Guest; log: string[]; context: AcmeContext }> {
    const log: string[] = [];
    const { device, context } = await acmeInstance(({ bar0 }) => {
      const { registers, locks } = bar0;
      return {
        busMaster: (enabled) => log.push(`bus master ${enabled}`),
        stop: () => log.push(`stop with control ${registers.CONTROL.burst}`),
        reset: (kind) => log.push(`${kind} reset with control ${registers.CONTROL.burst}, lock ${locks.running}`),
      };
    });
    device.on('reset', ({ kind, cause }) => log.push(`told ${kind} by ${cause}`));
    const guest = new Guest(device);
    return { guest, log, context };
  }

  function change({ guest, context, log }: Awaited<ReturnType<typeof resettable>>): void {
    guest.write32(At.control, 0x51);
    guest.write32(At.kept, 0x77);
    guest.write32(0x10, 0xfee0_0000, CONFIG);
    guest.write32(0x84, 0, CONFIG);
    context.bar0.registers.CAUSE.error = true;
    context.bar0.locks.running = true;
    log.length = 0;
  }

  const told = ['stop with control 5', 'function reset with control 1, lock false'];

  test('by FLR: registers, config space and locks are as at first, in the order stop, reset, behaviour', async () => {
    const device = await resettable();
    change(device);
    const { guest, log } = device;
    guest.write16(At.deviceControl, 0x8000 | guest.read16(At.deviceControl, CONFIG), CONFIG);
    expect(log).toEqual([...told, 'told function by flr']);
    expect(guest.read16(At.deviceControl, CONFIG) & 0x8000).toBe(0);
    expect(guest.read16(At.command, CONFIG)).toBe(0);
    expect(guest.read32(0x10, CONFIG)).toBe(4);
    expect(guest.tryRead(0, 0, new Uint8Array(4))).toBe(EIO);
    guest.write16(At.command, 6, CONFIG);
    expect([guest.read32(At.control), guest.read32(At.cause), guest.read32(At.kept)]).toEqual([0x10, 0, 0x77]);
  });

  test('by the client: the same', async () => {
    const device = await resettable();
    change(device);
    const { guest, log } = device;
    guest.session.sync.reset();
    expect(log).toEqual([...told, 'told function by client']);
    expect(guest.read16(At.command, CONFIG)).toBe(0);
    guest.write16(At.command, 6, CONFIG);
    expect(guest.read32(At.control)).toBe(0x10);
  });

  test('what the guest does to its memory is told once, after the access; enforcement off tells nothing', async () => {
    const { guest, log } = await resettable();
    const told = (): string[] => log.splice(0);
    expect(told()).toEqual(['bus master true']);
    guest.write16(At.command, 6, CONFIG);
    expect(told()).toEqual([]);
    // A function that sleeps reaches no memory either.
    guest.write16(At.powerControl, 3, CONFIG);
    expect(told()).toEqual(['bus master false']);
    guest.write16(At.powerControl, 0, CONFIG);
    expect(told()).toEqual(['bus master true']);
    guest.write16(At.command, 2, CONFIG);
    expect(told()).toEqual(['bus master false']);
    guest.write16(At.powerControl, 3, CONFIG);
    guest.write16(At.command, 6, CONFIG);
    expect(told()).toEqual([]);
    guest.write16(At.powerControl, 0, CONFIG);
    expect(told()).toEqual(['bus master true']);
  });

  test('memory is there while the behaviour hears that it goes, or stops, and is gone after the access', async () => {
    const reached: (readonly [event: string, reached: boolean])[] = [];
    const { device, context } = await acmeInstance(({ device: handle }) => {
      const note = (event: string): void => {
        reached.push([event, coreOf(handle).dmaRead(0n, new Uint8Array(8)) === 0]);
      };
      return {
        busMaster: (enabled) => {
          note(enabled ? 'given' : 'taken');
        },
        stop: () => {
          note('stop');
        },
        reset: () => {
          note('reset');
        },
      };
    });
    const guest = new Guest(device);
    const memory = memoryFile(0x1000);
    const map = { iova: 0n, size: 0x1000n, readable: true, writable: true, fd: memory.fd, offset: 0n };
    expect(guest.dmaMap(map)).toBe(0);
    memory.close();
    const during = (action: () => void): typeof reached => {
      reached.length = 0;
      action();
      return [...reached, ['after', coreOf(context.device).dmaRead(0n, new Uint8Array(8)) === 0]];
    };
    const give = (): void => {
      guest.write16(At.command, 6, CONFIG);
    };
    const end = ['after', false] as const;
    const reset = [['stop', true], ['reset', false], end];
    expect(
      during(() => {
        guest.write16(At.command, 2, CONFIG);
      }),
    ).toEqual([['taken', true], end]);
    expect(during(give)).toEqual([
      ['given', true],
      ['after', true],
    ]);
    expect(
      during(() => {
        guest.write16(At.powerControl, 3, CONFIG);
      }),
    ).toEqual([['taken', true], end]);
    guest.write16(At.powerControl, 0, CONFIG);
    expect(
      during(() => {
        guest.write16(At.deviceControl, 0x8000, CONFIG);
      }),
    ).toEqual(reset);
    give();
    expect(
      during(() => {
        guest.session.sync.reset();
      }),
    ).toEqual(reset);
    give();
    expect(
      during(() => {
        context.freeze(new Error('parity'));
      }),
    ).toEqual([['stop', true], end]);
  });

  test('memory stays out of reach when the behaviour freezes itself as it hears that there is some', async () => {
    const { device, context } = await acmeInstance((own) => ({
      busMaster: () => {
        own.freeze(new Error('parity'));
      },
    }));
    const guest = new Guest(device);
    const memory = memoryFile(0x1000);
    const map = { iova: 0n, size: 0x1000n, readable: true, writable: true, fd: memory.fd, offset: 0n };
    expect(guest.dmaMap(map)).toBe(0);
    memory.close();
    expect([device.state, coreOf(context.device).dmaRead(0n, new Uint8Array(8))]).toEqual(['frozen', EFAULT]);
  });

  test.each([
    [
      'the client',
      (guest: Guest) => {
        guest.session.sync.reset();
      },
    ],
    [
      'FLR',
      (guest: Guest) => {
        guest.write16(At.deviceControl, 0x8000, CONFIG);
      },
    ],
  ])('by %s: eventfds stay, what was latched and masked does not', async (_, reset) => {
    const { guest, context } = await resettable();
    const fds = guest.enableMsix(2);
    guest.write16(At.msixMessageControl, 0xc000, CONFIG);
    context.irqs.msix.trigger(0);
    context.irqs.msix.trigger(2);
    expect(guest.read64(At.pending)).toBe(0b101n);
    reset(guest);
    guest.write16(At.command, 6, CONFIG);
    expect(guest.read64(At.pending)).toBe(0n);
    expect(fds[0]?.read()).toBe(0);
    context.irqs.msix.trigger(0);
    expect(fds[0]?.read()).toBe(1);
  });

  test('in one write that also sets other registers: what lies behind the reset counts', async () => {
    const { guest, context, log } = await resettable();
    const [fd] = guest.enableMsix(1);
    log.length = 0;
    const config = guest.read(CONFIG, 0, 0x100);
    const view = new DataView(config.buffer);
    view.setUint16(At.command, 0, true);
    view.setUint16(At.deviceControl, 0x8000, true);
    view.setUint16(At.msixMessageControl, 0xc000, true);
    guest.write(CONFIG, 0, config);
    expect(log).toEqual([
      expect.stringMatching(/^stop/),
      expect.stringMatching(/^function reset/),
      'told function by flr',
    ]);
    context.irqs.msix.trigger(0);
    expect(fd?.read()).toBe(0);
    // The mask is the one thing that keeps it back: the reset took bus master, too.
    guest.write16(At.command, 6, CONFIG);
    expect(fd?.read()).toBe(0);
    guest.write16(At.msixMessageControl, 0x8000, CONFIG);
    expect(fd?.read()).toBe(1);
  });

  test('a behaviour that throws while it is reset fails the instance, whoever asked', async () => {
    const create = (): object => ({
      reset: () => {
        throw new Error('stuck');
      },
    });
    const byOwner = await acmeDevice(create);
    expect(() => {
      byOwner.reset();
    }).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect([byOwner.state, byOwner.failure?.path]).toEqual(['failed', 'reset']);
    const byGuest = await acmeDevice(create);
    const guest = new Guest(byGuest);
    guest.write16(At.deviceControl, 0x8000, CONFIG);
    expect([byGuest.state, byGuest.failure?.path]).toEqual(['failed', 'config.PCIE.DEVCTL']);
    const byClient = await acmeDevice(create);
    expect(coreOf(byClient.handle).reset()).toBe(EIO);
    expect(byClient.state).toBe('failed');
  });
});
