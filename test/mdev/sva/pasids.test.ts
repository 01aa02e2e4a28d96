import { describe, expect, test } from 'vitest';

import { AddressSpace, type DeviceSession, type SvaBehaviour, VfioError } from '../../../src/mdev/index.ts';
import { memoryFile } from '../../../src/native/binding.ts';
import { acmeDevice } from '../support/acme.ts';
import { enable, svaCard, SvaAt, svaParent, write16 } from '../support/sva-card.ts';

const PAGE = 0x1000n;

/** An address space of one page at `iova` whose first byte is `value`. */
function spaceWith(name: string, value: number, iova = 0n): AddressSpace {
  const file = memoryFile(0x1000);
  new Uint8Array(file.buffer)[0] = value;
  const space = new AddressSpace({ name });
  space.dmaMap({ iova, size: PAGE, file });
  file.close();
  return space;
}

const code = (expected: string, message?: string): unknown =>
  message === undefined
    ? expect.objectContaining({ code: expected })
    : expect.objectContaining({ code: expected, message: expect.stringContaining(message) as string });

describe('PASIDs', () => {
  test('are allocated up to the width, and say who has them', async () => {
    const { device } = await svaCard({ width: 2 });
    using session = device.open({ name: 'vmm' });
    const sva = session.sva;
    expect(sva.info()).toEqual({ pasidBits: 2, pasidsAvailable: 3, pageRequestCapacity: 16, pagesRequested: 0 });
    expect([sva.allocatePasid(), sva.allocatePasid(3), sva.allocatePasid()]).toEqual([1, 3, 2]);
    expect(() => sva.allocatePasid()).toThrow(code('ENOSPC', `instance ${device.uuid} (acme0, shared) has 3 PASIDs`));
    expect(() => sva.allocatePasid(3)).toThrow(code('EEXIST', 'PASID 3 of instance'));
    for (const none of [0, 4, -1, 1.5]) expect(() => sva.allocatePasid(none)).toThrow(code('EINVAL', '1 to 3'));
    sva.releasePasid(2);
    expect(() => {
      sva.releasePasid(2);
    }).toThrow(code('ENOENT', 'PASID 2'));
    expect(sva.allocatePasid()).toBe(2);
  });

  test('come again as late as can be', async () => {
    const { device } = await svaCard({ width: 3 });
    using session = device.open({ name: 'vmm' });
    const seen: number[] = [];
    for (let n = 0; n < 8; ++n) {
      const pasid = session.sva.allocatePasid();
      seen.push(pasid);
      session.sva.releasePasid(pasid);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 1]);
  });

  test('of all instances are limited by their parent, which says who has how many', async () => {
    const { make } = svaParent({ maxPasids: 3 });
    const [one, two] = [await make(), await make()];
    using first = one.device.open({ name: 'vmm' });
    {
      using second = two.device.open({ name: 'vmm' });
      first.sva.allocatePasid();
      second.sva.allocatePasid();
      second.sva.allocatePasid();
      expect(first.sva.info().pasidsAvailable).toBe(0);
      expect(() => first.sva.allocatePasid()).toThrow(
        code('ENOSPC', `parent acme0 has 3 PASIDs, all allocated: instance ${one.device.uuid} (acme0, shared) has 1`),
      );
    }
    // Those of the session that has ended are free again.
    expect(first.sva.info().pasidsAvailable).toBe(2);
    expect([first.sva.allocatePasid(), first.sva.allocatePasid()]).toEqual([3, 4]);
  });

  test('of a type without sva are refused, by both sides', async () => {
    const device = await acmeDevice((context) => {
      expect(context.sva.supported).toBe(false);
      expect(() => context.sva.dma(1)).toThrow(code('EOPNOTSUPP', 'type channel declares no sva'));
      expect(() => context.sva.isAttached(1)).toThrow(code('EOPNOTSUPP'));
      return {};
    });
    using session = device.open({ name: 'vmm' });
    using space = new AddressSpace({ name: 'process' });
    const sva = session.sva;
    for (const call of [
      () => sva.info(),
      () => sva.allocatePasid(),
      () => {
        sva.releasePasid(1);
      },
      () => {
        sva.attach(1, space);
      },
      () => {
        sva.replace(1, space);
      },
      () => {
        sva.detach(1);
      },
      () => {
        sva.invalidate();
      },
      () => sva.onPageRequest(() => undefined),
      () => {
        sva.respond(0, 'success');
      },
    ]) {
      expect(call).toThrow(code('EOPNOTSUPP', 'type channel declares no sva'));
      expect(call).toThrow(VfioError);
    }
  });
});

describe('an address space behind a PASID', () => {
  test('is what the device reaches by it, and by nothing else', async () => {
    const { device, services, sva } = await svaCard();
    using one = spaceWith('one', 1);
    using two = spaceWith('two', 2);
    using session = device.open({ name: 'vmm' });
    enable(session);
    const [a, b] = [session.sva.allocatePasid(), session.sva.allocatePasid()];
    session.sva.attach(a, one);
    const byte = new Uint8Array(1);
    await sva.dma(a).read(0n, byte);
    expect(byte[0]).toBe(1);
    await expect(sva.dma(b).read(0n, byte)).rejects.toMatchObject({ code: 'EFAULT' });
    await expect(services.dma.read(0n, byte)).rejects.toMatchObject({ code: 'EFAULT' });
    session.sva.attach(b, two);
    await sva.dma(b).write(0x10n, Uint8Array.of(9));
    await sva.dma(b).copy(0x10n, 0x20n, 1);
    await sva.dma(b).read(0x20n, byte);
    expect(byte[0]).toBe(9);
    await sva.dma(a).read(0x20n, byte);
    expect(byte[0]).toBe(0);
    await expect(sva.dma(a).read(PAGE, byte)).rejects.toMatchObject({
      code: 'EFAULT',
      message: `read of memory of PASID ${a} [0x1000, +1) failed with EFAULT`,
    });
    session.sva.replace(b, one);
    await sva.dma(b).read(0n, byte);
    expect(byte[0]).toBe(1);
    expect([one.info().pasids.length, two.info().pasids.length]).toEqual([2, 0]);
    session.sva.detach(a);
    session.sva.detach(b);
    for (const gone of [a, b]) await expect(sva.dma(gone).read(0n, byte)).rejects.toMatchObject({ code: 'EFAULT' });
  });

  test('is shared by several PASIDs of several instances, and has the rights of its maps', async () => {
    const { make } = svaParent();
    const cards = [await make(), await make()];
    using space = new AddressSpace({ name: 'process' });
    const file = memoryFile(0x2000);
    space.dmaMap({ iova: 0n, size: PAGE, file, access: 'r' });
    space.dmaMap({ iova: PAGE, size: PAGE, file, offset: PAGE });
    const sessions: DeviceSession[] = [];
    const dmas = cards.map(({ device, sva }) => {
      const session = device.open({ name: 'vmm' });
      sessions.push(session);
      enable(session);
      const pasid = session.sva.allocatePasid(77);
      session.sva.attach(pasid, space);
      return sva.dma(pasid);
    });
    expect(space.info()).toMatchObject({
      mappingsAvailable: 65_533n,
      pasids: cards.map(({ device }) => `PASID 77 of instance ${device.uuid} (acme0, shared)`),
    });
    await dmas[0]?.write(PAGE, Uint8Array.of(5));
    const byte = new Uint8Array(1);
    await dmas[1]?.read(PAGE, byte);
    expect(byte[0]).toBe(5);
    await expect(dmas[1]?.write(0n, byte)).rejects.toMatchObject({ code: 'EFAULT' });
    space.dmaUnmap({ iova: PAGE, size: PAGE });
    for (const dma of dmas) await expect(dma.read(PAGE, byte)).rejects.toMatchObject({ code: 'EFAULT' });
    space.dmaUnmapAll();
    for (const dma of dmas) await expect(dma.read(0n, byte)).rejects.toMatchObject({ code: 'EFAULT' });
    for (const session of sessions) session.sync.close();
    file.close();
  });

  test('logs what devices write', async () => {
    const { device, sva } = await svaCard();
    using space = spaceWith('process', 0);
    using session = device.open({ name: 'vmm' });
    enable(session);
    session.sva.attach(session.sva.allocatePasid(), space);
    space.dmaLogging.start(4096n);
    expect(space.dmaLogging.report({ iova: 0n, size: PAGE }, 4096n)[0]).toBe(0);
    await sva.dma(1).write(0n, Uint8Array.of(1));
    expect(space.dmaLogging.unmap({ iova: 0n, size: PAGE }, 4096n)[0]).toBe(1);
    session.sva.detach(1);
  });

  test('is in use: errors name who holds what', async () => {
    const events: string[] = [];
    const sides: SvaBehaviour = {
      attached: () => events.push('attached'),
      detaching: () => events.push('detaching'),
    };
    const { device } = await svaCard({ behaviour: () => ({ sva: sides }) });
    using space = spaceWith('process 4711', 1);
    using other = new AddressSpace({ name: 'other' });
    using session = device.open({ name: 'vmm' });
    const sva = session.sva;
    const pasid = sva.allocatePasid();
    sva.attach(pasid, space);
    const bound = `PASID 1 of instance ${device.uuid} (acme0, shared) is attached to address space process 4711`;
    expect(() => {
      sva.attach(pasid, other);
    }).toThrow(code('EBUSY', bound));
    expect(() => {
      sva.releasePasid(pasid);
    }).toThrow(code('EBUSY', bound));
    expect(() => {
      space.close();
    }).toThrow(code('EBUSY', `address space process 4711 is attached to PASID 1 of instance ${device.uuid}`));
    expect(() => {
      sva.attach(2, space);
    }).toThrow(code('ENOENT', 'PASID 2'));
    expect(() => {
      sva.replace(sva.allocatePasid(2), space);
    }).toThrow(code('ENOENT', 'is not attached'));
    sva.detach(pasid);
    expect(() => {
      sva.detach(pasid);
    }).toThrow(code('ENOENT'));
    const closed = new AddressSpace({ name: 'closed' });
    closed.close();
    closed.close();
    expect(() => {
      sva.attach(pasid, closed);
    }).toThrow(code('ENODEV', 'address space closed is closed'));
    expect(() => closed.info()).toThrow(code('ENODEV'));
    const told = events.length;
    sva.attach(pasid, space);
    expect(() => {
      sva.replace(pasid, closed);
    }).toThrow(code('ENODEV', 'address space closed is closed'));
    expect(events.slice(told)).toEqual(['attached']);
    sva.detach(pasid);
    const file = memoryFile(0x1000);
    expect(() => {
      other.dmaMap({ iova: 1n, size: PAGE, file });
    }).toThrow(code('EINVAL'));
    expect(() => {
      other.dmaMap({ iova: 0n, size: PAGE, file: { fd: 100_000 } });
    }).toThrow(code('EBADF'));
    expect(() => {
      other.dmaUnmap({ iova: 0n, size: PAGE });
    }).toThrow(code('ENOENT'));
    file.close();
  });
});

describe('access by PASID ends', () => {
  const told: string[] = [];
  const behaviour: SvaBehaviour = {
    attached: (pasid) => told.push(`attached ${pasid}`),
    detaching: (pasid) => told.push(`detaching ${pasid}`),
    invalidated: (what) => told.push(`invalidated ${Object.values(what).join(' ')}`),
  };

  async function running() {
    told.length = 0;
    const card = await svaCard({ behaviour: () => ({ sva: behaviour, quiesce: () => Promise.resolve() }) });
    const space = spaceWith('process', 1);
    const session = card.device.open({ name: 'vmm' });
    enable(session);
    session.sva.attach(session.sva.allocatePasid(), space);
    const reaches = async (): Promise<boolean> => {
      try {
        await card.sva.dma(1).read(0n, new Uint8Array(1));
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'EFAULT' });
        return false;
      }
    };
    expect(await reaches()).toBe(true);
    return { ...card, reaches, session, space };
  }

  test.each([
    ['the guest takes bus master away', SvaAt.command, 2, 6],
    ['the guest disables PASIDs', SvaAt.pasidControl, 0, 1],
  ] as const)('while %s', async (_name, offset, off, on) => {
    const { reaches, session, space } = await running();
    write16(session, offset, off);
    expect(await reaches()).toBe(false);
    write16(session, offset, on);
    expect(await reaches()).toBe(true);
    session.sync.close();
    space.close();
  });

  test('with a reset, until the guest enables it again: what is attached stays', async () => {
    const { device, reaches, session, space } = await running();
    session.sync.reset();
    expect(await reaches()).toBe(false);
    expect(space.info().pasids.length).toBe(1);
    enable(session);
    expect(await reaches()).toBe(true);
    write16(session, SvaAt.deviceControl, 0x8000);
    expect(await reaches()).toBe(false);
    enable(session);
    device.error({ uncorrectable: 'dataLinkProtocol' });
    expect(device.state).toBe('frozen');
    expect(await reaches()).toBe(false);
    device.reset();
    enable(session);
    expect(await reaches()).toBe(true);
    await device.quiesce();
    expect(await reaches()).toBe(false);
    device.resume();
    expect(await reaches()).toBe(true);
    session.sync.close();
    space.close();
  });

  test('with the client, and the behaviour is told', async () => {
    const { device, reaches, session, space } = await running();
    session.sync.close();
    expect(await reaches()).toBe(false);
    expect(told).toEqual(['attached 1', 'detaching 1']);
    space.close();
    expect(() => session.sva.info()).toThrow(code('ENODEV'));
    using again = device.open({ name: 'another vmm' });
    expect(again.sva.allocatePasid()).toBe(2);
  });

  test('with the instance', async () => {
    const { device, sva, space } = await running();
    await device.close();
    await expect(sva.dma(1).read(0n, new Uint8Array(1))).rejects.toMatchObject({ code: 'ECANCELED' });
    space.close();
  });

  test('of what is unmapped, invalidated, and exchanged: the behaviour is told', async () => {
    const { session, space } = await running();
    told.length = 0;
    space.dmaUnmap({ iova: 0n, size: PAGE });
    space.dmaUnmapAll();
    session.sva.invalidate({ pasid: 1, iova: 0n, size: PAGE });
    session.sva.invalidate({ pasid: 1 });
    session.sva.invalidate();
    using other = spaceWith('other', 1);
    session.sva.replace(1, other);
    expect(told).toEqual([
      'invalidated 1 0 4096',
      'invalidated 1',
      'invalidated 1 0 4096',
      'invalidated 1',
      'invalidated ',
      'detaching 1',
      'attached 1',
    ]);
    expect(() => {
      session.sva.invalidate({ pasid: 2 });
    }).toThrow(code('ENOENT'));
    expect(() => {
      session.sva.invalidate({ pasid: 1, iova: 0n });
    }).toThrow(code('EINVAL'));
    session.sync.close();
    space.close();
  });

  test.each(['attached', 'detaching', 'invalidated'] as const)('a behaviour that throws in %s fails', async (hook) => {
    const { device } = await svaCard({
      behaviour: () => ({
        sva: {
          [hook]: () => {
            throw new Error('no');
          },
        },
      }),
    });
    using space = spaceWith('process', 1);
    using session = device.open({ name: 'vmm' });
    session.sva.attach(session.sva.allocatePasid(), space);
    session.sva.invalidate();
    session.sva.detach(1);
    expect([device.state, device.failure?.path]).toEqual(['failed', `sva.${hook}`]);
  });
});

test('an address space that is to be put behind a PASID stays open while the behaviour is told of it', async () => {
  const told: string[] = [];
  const refused: unknown[] = [];
  const [one, two] = [spaceWith('one', 1), spaceWith('two', 2)];
  const { device } = await svaCard({
    behaviour: () => ({
      sva: {
        attached: () => told.push('attached'),
        detaching: () => {
          told.push('detaching');
          try {
            two.close();
          } catch (error) {
            refused.push(error);
          }
        },
      },
    }),
  });
  const session = device.open({ name: 'vmm' });
  const pasid = session.sva.allocatePasid();
  session.sva.attach(pasid, one);
  session.sva.replace(pasid, two);
  expect([told, refused]).toEqual([
    ['attached', 'detaching', 'attached'],
    [code('EBUSY', 'address space two is attached to PASID 1')],
  ]);
  expect([one.info().pasids.length, two.info().pasids.length, device.state]).toEqual([0, 1, 'running']);
  session.sync.close();
  one.close();
  two.close();
});

test('a replacement that ends with the hold leaves nothing attached anywhere', async () => {
  const [one, two] = [spaceWith('one', 1), spaceWith('two', 2)];
  const sides: SvaBehaviour = {
    detaching: () => {
      session.sync.close();
    },
  };
  const { device } = await svaCard({ behaviour: () => ({ sva: sides }) });
  const session: DeviceSession = device.open({ name: 'vmm' });
  const pasid = session.sva.allocatePasid();
  session.sva.attach(pasid, one);
  expect(() => {
    session.sva.replace(pasid, two);
  }).toThrow();
  one.close();
  two.close();
});

test('the vendor’s hooks of a CONTROL register may be an object of a class', async () => {
  class Control {
    writes: boolean[] = [];
    beforeWrite(next: { readonly enable: boolean }): void {
      this.writes.push(next.enable);
    }
    afterWrite(): void {
      this.writes.push(true);
    }
  }
  const control = new Control();
  const { device } = await svaCard({
    behaviour: () => ({ hooks: { config: { PASID: { CONTROL: control } } } }) as object,
  });
  const session = device.open({ name: 'vmm' });
  write16(session, SvaAt.pasidControl, 0);
  expect([control.writes, device.state]).toEqual([[false, true], 'running']);
  session.sync.close();
});
