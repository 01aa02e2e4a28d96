import { describe, expect, onTestFinished, test, vi } from 'vitest';

import {
  AddressSpace,
  type DeviceSession,
  type PageRequestGroup,
  type PageResponse,
  type VfioError,
} from '../../../src/mdev/index.ts';
import { CONFIG } from '../support/guest.ts';
import { plainCard } from '../support/plain-card.ts';
import { enable, read16, svaCard, SvaAt, type SvaCard, type SvaCardOptions, write16 } from '../support/sva-card.ts';
import { uncaughtDuring } from '../support/uncaught.ts';

const STOPPED = 0x8100;

interface Asked {
  readonly group: PageRequestGroup;
}

interface Running extends SvaCard {
  readonly session: DeviceSession;
  readonly pasid: number;
  /** What the VMM was asked, oldest first. */
  readonly asked: Asked['group'][];
  readonly space: AddressSpace;
}

/** A device that may ask for pages by one PASID, and a VMM that listens and does not answer. */
async function running(options: SvaCardOptions = {}): Promise<Running> {
  const card = await svaCard(options);
  const space = new AddressSpace({ name: 'process' });
  const session = card.device.open({ name: 'vmm' });
  enable(session);
  const pasid = session.sva.allocatePasid();
  session.sva.attach(pasid, space);
  const asked: PageRequestGroup[] = [];
  session.sva.onPageRequest((request) => asked.push(request));
  onTestFinished(() => {
    session.sync.close();
    space.close();
  });
  return { ...card, session, pasid, asked, space };
}

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

describe('a page request', () => {
  test('reaches the VMM, and is answered by it', async () => {
    const { asked, pasid, session, sva } = await running();
    for (const response of ['success', 'invalid'] as const) {
      const answer = sva.pageRequest({ pasid, iova: 0x1234n, pages: 2, access: 'rw' });
      const request = asked.pop();
      expect(request).toMatchObject({ pasid, iova: 0x1000n, pages: 2, access: 'rw', privileged: false });
      expect(session.sva.info().pagesRequested).toBe(2);
      expect(await settled(answer)).toBe(false);
      session.sva.respond(request?.group ?? -1, response);
      expect(await answer).toBe(response);
      expect(session.sva.info().pagesRequested).toBe(0);
    }
  });

  test('may be answered where it is heard', async () => {
    const card = await svaCard();
    using space = new AddressSpace({ name: 'process' });
    using session = card.device.open({ name: 'vmm' });
    enable(session);
    session.sva.attach(session.sva.allocatePasid(), space);
    using _listening = session.sva.onPageRequest(({ group }) => {
      session.sva.respond(group, 'success');
    });
    expect(await card.sva.pageRequest({ pasid: 1, iova: 0n })).toBe('success');
    session.sva.detach(1);
  });

  test('that cannot be is an error of the device', async () => {
    const { pasid, sva } = await running();
    for (const request of [
      { iova: -1n },
      { iova: 1n << 64n },
      { iova: 0n, pages: 0 },
      { iova: 0n, pages: 1.5 },
      { iova: (1n << 64n) - 0x1000n, pages: 2 },
    ]) {
      await expect(sva.pageRequest({ pasid, ...request })).rejects.toMatchObject({ code: 'EINVAL' });
    }
    const refusals: unknown[] = [];
    await plainCard({}).then((device) => {
      using session = device.open({ name: 'vmm' });
      try {
        session.sva.onPageRequest(() => undefined);
      } catch (error) {
        refusals.push((error as VfioError).code);
      }
    });
    expect(refusals).toEqual(['EOPNOTSUPP']);
  });

  test('beyond what the guest allows is refused at once', async () => {
    const { asked, pasid, session, sva } = await running({ capacity: 4 });
    const first = [1, 2].map(() => sva.pageRequest({ pasid, iova: 0n, pages: 2 }));
    // The guest allows 16, and the function can have 4.
    expect(await sva.pageRequest({ pasid, iova: 0n })).toBe('failure');
    session.sync.writeRegion(CONFIG, SvaAt.priAllocation, Uint8Array.of(2, 0, 0, 0));
    session.sva.respond(asked[0]?.group ?? -1, 'success');
    expect(await sva.pageRequest({ pasid, iova: 0n })).toBe('failure');
    session.sva.respond(asked[1]?.group ?? -1, 'success');
    const third = sva.pageRequest({ pasid, iova: 0n });
    session.sva.respond(asked[2]?.group ?? -1, 'success');
    expect(await Promise.all([...first, third])).toEqual(['success', 'success', 'success']);
  });

  test('has an index of 9 bits, and no more of them are outstanding', async () => {
    const { asked, pasid, session, sva } = await running({ capacity: 1000 });
    session.sync.writeRegion(CONFIG, SvaAt.priAllocation, Uint8Array.of(0xff, 3, 0, 0));
    const answers = Array.from({ length: 512 }, () => sva.pageRequest({ pasid, iova: 0n }));
    expect(await sva.pageRequest({ pasid, iova: 0n })).toBe('failure');
    expect(new Set(asked.map(({ group }) => group)).size).toBe(512);
    session.sva.respond(300, 'success');
    const last = sva.pageRequest({ pasid, iova: 0n });
    expect(asked.at(-1)?.group).toBe(300);
    for (let group = 0; group < 512; ++group) session.sva.respond(group, 'success');
    expect(new Set(await Promise.all([...answers, last]))).toEqual(new Set(['success']));
  });

  test('that nobody answers in time is refused, and its answer comes too late', async () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { asked, pasid, session, sva } = await running({ sva: { pageRequestTimeout: 50 } });
    const answer = sva.pageRequest({ pasid, iova: 0n });
    vi.advanceTimersByTime(49);
    expect(await settled(answer)).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await answer).toBe('failure');
    const [request] = asked;
    expect(() => {
      session.sva.respond(request?.group ?? -1, 'success');
    }).toThrow(expect.objectContaining({ code: 'ENOENT', message: expect.stringContaining('group 0') as string }));
    // Unexpected group index; page requests go on.
    expect(read16(session, SvaAt.priStatus) & 3).toBe(2);
    write16(session, SvaAt.priStatus, 2);
    expect(read16(session, SvaAt.priStatus) & 3).toBe(0);
    void sva.pageRequest({ pasid, iova: 0n });
    expect(asked.length).toBe(2);
  });

  test('to a listener that throws is refused', async () => {
    const card = await svaCard();
    using space = new AddressSpace({ name: 'process' });
    using session = card.device.open({ name: 'vmm' });
    enable(session);
    session.sva.attach(session.sva.allocatePasid(), space);
    session.sva.onPageRequest(() => {
      throw new Error('no');
    });
    const errors = await uncaughtDuring(async () => {
      expect(await card.sva.pageRequest({ pasid: 1, iova: 0n })).toBe('failure');
    });
    expect(errors).toEqual([new Error('no')]);
    session.sva.detach(1);
  });
});

describe('page requests are refused at once', () => {
  const never: readonly (readonly [string, PageResponse, (running: Running) => unknown])[] = [
    [
      'bus master is off',
      'failure',
      ({ session }) => {
        write16(session, SvaAt.command, 2);
      },
    ],
    [
      'PASIDs are disabled',
      'failure',
      ({ session }) => {
        write16(session, SvaAt.pasidControl, 0);
      },
    ],
    [
      'translations are disabled',
      'failure',
      ({ session }) => {
        write16(session, SvaAt.atsControl, 0);
      },
    ],
    [
      'page requests are disabled',
      'failure',
      ({ session }) => {
        write16(session, SvaAt.priControl, 0);
      },
    ],
    [
      'the PASID has no address space',
      'invalid',
      ({ pasid, session }) => {
        session.sva.detach(pasid);
      },
    ],
    [
      'the client has left',
      'failure',
      ({ session }) => {
        session.sync.close();
      },
    ],
    [
      'the function was reset',
      'failure',
      ({ session }) => {
        session.sync.reset();
      },
    ],
    [
      'the function was reset by its guest',
      'failure',
      ({ session }) => {
        write16(session, SvaAt.deviceControl, 0x8000);
      },
    ],
    ['the instance is frozen', 'failure', ({ device }) => device.error({ uncorrectable: 'dataLinkProtocol' })],
    ['the instance is closed', 'failure', ({ device }) => device.close()],
  ];

  test.each(never)('while %s', async (_name, response, action) => {
    const all = await running();
    await action(all);
    expect(await all.sva.pageRequest({ pasid: all.pasid, iova: 0n })).toBe(response);
    expect(all.asked).toEqual([]);
  });

  test('while nobody listens', async () => {
    const { device, sva } = await svaCard();
    using space = new AddressSpace({ name: 'process' });
    using session = device.open({ name: 'vmm' });
    enable(session);
    session.sva.attach(session.sva.allocatePasid(), space);
    expect(await sva.pageRequest({ pasid: 1, iova: 0n })).toBe('failure');
    const listening = session.sva.onPageRequest(() => undefined);
    expect(() => session.sva.onPageRequest(() => undefined)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    const answer = sva.pageRequest({ pasid: 1, iova: 0n });
    listening[Symbol.dispose]();
    expect(await answer).toBe('failure');
    using _again = session.sva.onPageRequest(() => undefined);
    // What has ended ends nothing that came after it.
    listening[Symbol.dispose]();
    expect(await settled(sva.pageRequest({ pasid: 1, iova: 0n }))).toBe(false);
    session.sva.detach(1);
  });

  // Page requests that are disabled are still answered, and those of a PASID that goes are refused.
  test.each(never.filter(([name]) => name !== 'page requests are disabled'))(
    'and those that are outstanding are, when %s',
    async (_name, _response, action) => {
      const all = await running();
      const answers = [0n, 0x1000n].map((iova) => all.sva.pageRequest({ pasid: all.pasid, iova }));
      await action(all);
      expect(await Promise.all(answers)).toEqual(['failure', 'failure']);
    },
  );

  test('of a PASID that gets another address space', async () => {
    const { pasid, session, sva } = await running();
    using other = new AddressSpace({ name: 'other' });
    const second = session.sva.allocatePasid();
    session.sva.attach(second, other);
    const [gone, stays] = [sva.pageRequest({ pasid, iova: 0n }), sva.pageRequest({ pasid: second, iova: 0n })];
    session.sva.replace(pasid, other);
    expect(await gone).toBe('failure');
    expect(await settled(stays)).toBe(false);
    session.sync.close();
    expect(await stays).toBe('failure');
  });
});

describe('the PRI capability', () => {
  test('says when the last request is answered after it was disabled', async () => {
    const { asked, pasid, session, sva } = await running();
    expect(read16(session, SvaAt.priStatus)).toBe(0x8000);
    const answer = sva.pageRequest({ pasid, iova: 0n });
    write16(session, SvaAt.priControl, 0);
    expect(read16(session, SvaAt.priStatus)).toBe(0x8000);
    session.sva.respond(asked[0]?.group ?? -1, 'success');
    expect(await answer).toBe('success');
    expect(read16(session, SvaAt.priStatus)).toBe(STOPPED);
    write16(session, SvaAt.priControl, 1);
    expect(read16(session, SvaAt.priStatus)).toBe(0x8000);
    write16(session, SvaAt.priControl, 0);
    expect(read16(session, SvaAt.priStatus)).toBe(STOPPED);
  });

  test('is reset while it is disabled, and not while it is enabled', async () => {
    const { pasid, session, sva } = await running();
    const answer = sva.pageRequest({ pasid, iova: 0n });
    write16(session, SvaAt.priControl, 3);
    expect(await settled(answer)).toBe(false);
    expect(read16(session, SvaAt.priControl)).toBe(1);
    // Disabled and reset by one write.
    write16(session, SvaAt.priControl, 2);
    expect(await answer).toBe('failure');
    expect([read16(session, SvaAt.priControl), read16(session, SvaAt.priStatus)]).toEqual([0, STOPPED]);
  });

  test('says that a response was a failure, which ends all of them until it is enabled again', async () => {
    const { asked, pasid, session, sva } = await running();
    const answers = [0n, 0x1000n].map((iova) => sva.pageRequest({ pasid, iova }));
    session.sva.respond(asked[0]?.group ?? -1, 'failure');
    expect(await Promise.all(answers)).toEqual(['failure', 'failure']);
    expect(read16(session, SvaAt.priStatus) & 3).toBe(1);
    expect(await sva.pageRequest({ pasid, iova: 0n })).toBe('failure');
    expect(asked.length).toBe(2);
    write16(session, SvaAt.priControl, 0);
    write16(session, SvaAt.priControl, 1);
    expect(read16(session, SvaAt.priStatus)).toBe(0x8000);
    void sva.pageRequest({ pasid, iova: 0n });
    expect(asked.length).toBe(3);
  });
});
