import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type PciError, pciExpress } from '../../../src/emulation/index.ts';
import { type ErrorReport, LIFE_CYCLE, type MdevState, VfioIrq } from '../../../src/mdev/index.ts';
import { eventfd, memoryFile } from '../../../src/native/binding.ts';
import { FACES, openFace } from '../../vfio-user/support/faces.ts';
import { errorCard, ErrorCardAt as At } from '../support/error-card.ts';
import { CONFIG, Guest } from '../support/guest.ts';

const POISONED = 1 << 12;
const ONES = 0xffff_ffff;

describe.each(FACES)('an uncorrectable error, its client %s', (face) => {
  test.each([true, false])(
    'is recorded, contained and reported (ERR: %s); a reset lets the device go on',
    async (reportErrors) => {
      const { context, device } = await errorCard(undefined, { reportErrors });
      await using vmm = await openFace(face, device);
      const line = eventfd();
      const file = memoryFile(0x1000);
      await vmm.setIrqs({ index: VfioIrq.error, eventfds: [line.fd] });
      await vmm.dmaMap({ iova: 0n, size: 0x1000n, file });
      await vmm.writeRegister(CONFIG, 4, 2, 6);
      await vmm.writeRegister(CONFIG, At.deviceControl, 2, 0xf);
      await vmm.writeRegister(0, At.scratch, 4, 7);
      await context.dma.write(0n, Uint8Array.of(1));

      const cause = new Error('a chunk came back with poison');
      const report = context.error({ uncorrectable: 'poisonedTlp', header: [1, 2, 3, 4] }, cause);
      expect(report).toMatchObject({ message: 'nonFatal', isolated: true, reported: reportErrors, cause });
      expect([device.state, device.failure?.error]).toEqual(['frozen', cause]);
      expect(line.read()).toBe(reportErrors ? 1 : 0);

      expect(await vmm.readRegister(0, At.id, 4)).toBe(ONES);
      expect(await vmm.readRegister(CONFIG, 0, 4)).toBe(ONES);
      await vmm.writeRegister(0, At.scratch, 4, 8);
      await expect(context.dma.write(0n, Uint8Array.of(2))).rejects.toMatchObject({ code: 'EFAULT' });
      expect(new Uint8Array(file.buffer)[0]).toBe(1);

      await vmm.reset();
      expect([device.state, device.failure]).toEqual(['running', undefined]);
      await vmm.writeRegister(CONFIG, 4, 2, 6);
      expect(await vmm.readRegister(0, At.id, 4)).toBe(0x1234_5678);
      expect(await vmm.readRegister(0, At.scratch, 4)).toBe(0);
      expect(await vmm.readRegister(CONFIG, At.uncorrectableStatus, 4)).toBe(POISONED);
      await context.dma.write(0n, Uint8Array.of(3));
      expect(new Uint8Array(file.buffer)[0]).toBe(3);
      // The eventfd is there still.
      await vmm.setIrqs({ index: VfioIrq.error, count: 1 });
      expect(line.read()).toBe(1);
      line.close();
      file.close();
    },
  );
});

test('nobody is told by ERR when no client is there, and the next one is not told of what was before it', async () => {
  const { device } = await errorCard(undefined, { reportErrors: true });
  expect(device.error({ uncorrectable: 'completerAbort' })).toMatchObject({ isolated: true, reported: false });
  using session = device.open({ name: 'next' });
  const line = eventfd();
  session.sync.setIrqs({ index: VfioIrq.error, eventfds: [line.fd] });
  expect(line.read()).toBe(0);
  line.close();
});

test('who is told of an error can reset the device at once', async () => {
  const { device } = await errorCard(undefined, { reportErrors: true });
  const guest = new Guest(device);
  const line = eventfd();
  guest.session.sync.setIrqs({ index: VfioIrq.error, eventfds: [line.fd] });
  const signalled: number[] = [];
  device.on('state', ({ to }) => {
    if (to !== 'frozen') return;
    signalled.push(line.read());
    device.reset();
  });
  expect(device.error({ uncorrectable: 'malformedTlp' })).toMatchObject({ isolated: true, reported: true });
  guest.write16(4, 6, CONFIG);
  expect([device.state, signalled, guest.read32(At.id)]).toEqual(['running', [1], 0x1234_5678]);
  line.close();
});

test('correctable errors, and advisory ones that are not fatal, are recorded only', async () => {
  const { device } = await errorCard();
  const guest = new Guest(device);
  const reports: ErrorReport[] = [];
  device.on('deviceError', (report) => reports.push(report));
  expect(device.error({ correctable: 'receiver' })).toMatchObject({ isolated: false, reported: false });
  expect(device.error({ uncorrectable: 'completerAbort', advisory: true })).toMatchObject({ isolated: false });
  expect([device.state, guest.read32(At.correctableStatus, CONFIG) & 1, reports.length]).toEqual(['running', 1, 2]);
  guest.write16(At.deviceControl, 0xf, CONFIG);
  const { isolated, message } = device.error({ uncorrectable: 'malformedTlp', advisory: true });
  expect([isolated, message]).toEqual([true, 'fatal']);
});

test('what follows while it is frozen is recorded, and the first failure stays', async () => {
  const { device, context } = await errorCard(undefined, { reportErrors: true });
  const guest = new Guest(device);
  const line = eventfd();
  guest.session.sync.setIrqs({ index: VfioIrq.error, eventfds: [line.fd] });
  context.error({ uncorrectable: 'poisonedTlp' }, 'first');
  expect(context.error({ uncorrectable: 'malformedTlp' }, 'second')).toMatchObject({
    isolated: false,
    reported: false,
  });
  expect([device.failure?.error, line.read()]).toEqual(['first', 1]);
  device.reset();
  expect(guest.read32(At.uncorrectableStatus, CONFIG)).toBe(POISONED | (1 << 18));
  line.close();
});

test('the access whose hook has the error reads all ones', async () => {
  const { device } = await errorCard((context) => ({
    hooks: {
      bar0: {
        HOOKED: {
          beforeRead: () => {
            context.error({ uncorrectable: 'completerAbort' });
          },
        },
      },
    },
  }));
  const guest = new Guest(device);
  expect([guest.read32(At.hooked), device.state]).toEqual([ONES, 'frozen']);
});

test('an error during the reset that should mend it keeps it frozen', async () => {
  let broken = true;
  const { device } = await errorCard((context) => ({
    reset: () => {
      if (broken) context.error({ uncorrectable: 'completerAbort' }, 'still broken');
    },
  }));
  const guest = new Guest(device);
  device.error({ uncorrectable: 'completerAbort' });
  expect(() => {
    device.reset();
  }).toThrow(expect.objectContaining({ code: 'EIO', message: expect.stringContaining('froze again') as string }));
  expect([device.state, device.failure?.error, guest.read32(0, CONFIG)]).toEqual(['frozen', 'still broken', ONES]);
  broken = false;
  device.reset();
  expect(device.state).toBe('running');
});

test('without PCI Express and AER there is STATUS, and no ERR', async () => {
  const { context, device } = await errorCard(undefined, { reportErrors: true }, []);
  expect(device.error({ uncorrectable: 'completerAbort' })).toMatchObject({ isolated: true, reported: false });
  expect(context.config.registers.STATUS.signaledTargetAbort).toBe(true);
});

test('what cannot be an error of this device changes nothing', async () => {
  const refusals: unknown[] = [];
  const { device, context } = await errorCard((own) => {
    try {
      own.error({ uncorrectable: 'poisonedTlp' });
    } catch (error) {
      refusals.push(error);
    }
    return {};
  });
  expect(refusals).toEqual([expect.objectContaining({ code: 'EINVAL' })]);
  expect(() => device.error({ uncorrectable: 'surpriseDown' })).toThrow(RangeError);
  expect(device.state).toBe('created');
  context.fail(new Error('broken'));
  expect(() => device.error({ correctable: 'receiver' })).toThrow(expect.objectContaining({ code: 'EIO' }));
  expect(context.error({ correctable: 'receiver' })).toBeUndefined();
  await device.close();
  expect(() => device.error({ correctable: 'receiver' })).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  expect(context.error({ correctable: 'receiver' })).toBeUndefined();
});

type Step = 'attach' | 'start' | 'detach' | 'quiesce' | 'resume' | 'error' | 'reset';
const STEPS: readonly Step[] = ['attach', 'start', 'detach', 'quiesce', 'resume', 'error', 'error', 'reset', 'reset'];
/** The way to every state but `frozen`. */
const WAY: readonly Step[] = ['attach', 'start', 'quiesce'];
const steps = fc
  .tuple(fc.nat(WAY.length), fc.array(fc.constantFrom(...STEPS), { maxLength: 12 }))
  .map(([length, rest]) => [...WAY.slice(0, length), ...rest]);

/** The state after a step; undefined when it is refused. */
function expectedAfter(state: MdevState, step: Step, held: boolean, started: boolean): MdevState | undefined {
  if (step === 'error') return 'frozen';
  if (step === 'detach' && !held) return state;
  // A client that comes to a frozen device gets it reset.
  if (step === 'attach' && state === 'frozen' && !held) return 'attached';
  if (step !== 'reset') return LIFE_CYCLE[state][step];
  if (state !== 'frozen') return state;
  return held ? (started ? 'running' : 'attached') : 'created';
}

test('errors at any time: the state is what the table says, and the behaviour runs exactly when the state does', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      let paused = false;
      const { device } = await errorCard(() => ({
        quiesce: () => {
          paused = true;
          return Promise.resolve();
        },
        resume: () => {
          paused = false;
        },
      }));
      let started = false;
      const run = async (step: Step): Promise<void> => {
        if (step === 'attach') device.attach({ name: 'vmm' });
        else if (step === 'start') {
          if (device.attachment === undefined) throw new Error('not held');
          device.attachment.start();
        } else if (step === 'detach') device.attachment?.detach();
        else if (step === 'quiesce') await device.quiesce();
        else if (step === 'resume') device.resume();
        else if (step === 'error') device.error({ uncorrectable: 'completerAbort' });
        else device.reset();
      };
      for (const step of history) {
        const before = device.state;
        const expected = expectedAfter(before, step, device.attachment !== undefined, started);
        const ran = await run(step).then(
          () => true,
          () => false,
        );
        expect([ran, device.state]).toEqual([expected !== undefined, expected ?? before]);
        if (step === 'start' && ran) started = true;
        if (step === 'detach') started = false;
        if (device.state !== 'frozen') expect(paused).toBe(device.state === 'quiesced');
      }
      await device.close();
    }),
    { numRuns: 100 },
  );
});

// What a caller in JavaScript can write. Without the check, a typing error froze a device that has no AER.
test.each([
  ['with AER', undefined],
  ['without AER', [pciExpress({ offset: 0x40, functionLevelReset: true })]],
  ['without capabilities', []],
])('a name that no error has is refused, and nothing has happened (%s)', async (_what, capabilities) => {
  const { device } = await errorCard(undefined, {}, capabilities);
  const told: unknown[] = [];
  device.on('deviceError', (report) => told.push(report));
  for (const error of [
    { uncorrectable: 'poisonedTLP' },
    { uncorrectable: 'toString' },
    { uncorrectable: 'badTlp' },
    { correctable: 'malformedTlp' },
    { correctable: 'advisoryNonFatal' },
    {},
  ] as unknown as readonly PciError[]) {
    expect(() => device.error(error)).toThrow(RangeError);
  }
  expect([device.state, told]).toEqual(['created', []]);
  expect(device.error({ correctable: 'badTlp' })).toMatchObject({ isolated: false });
  expect(device.error({ uncorrectable: 'poisonedTlp' })).toMatchObject({ isolated: true });
});
