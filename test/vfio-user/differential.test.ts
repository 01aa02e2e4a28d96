import fc from 'fast-check';
import { expect, it } from 'vitest';

import { type MdevDevice, type VfioDevice, VfioError, VfioIrq } from '../../src/mdev/index.ts';
import { coreOf } from '../../src/native/device-handle.ts';
import { type EventFd, eventfd, type MemoryFile, memoryFile } from '../../src/vfio-user/index.ts';
import { DeviceFeature } from '../../src/vfio-user/protocol/constants.ts';
import { encodeDmaLoggingReport, encodeDmaLoggingStart } from '../../src/vfio-user/protocol/structures/index.ts';
import { type AcmeContext, acmeInstance, At } from '../mdev/support/acme.ts';
import { type FACES, openFace } from './support/faces.ts';

const PAGE = 0x1000;
const FILE_PAGES = 4;
const LINES = 4;
const CONFIG = 7;

/** A device on one of its faces, with what a VMM has beside it. */
interface Vmm {
  readonly device: VfioDevice;
  readonly instance: MdevDevice;
  readonly context: AcmeContext;
  readonly file: MemoryFile;
  /** Memory that is reached by message. */
  readonly plain: Uint8Array;
  readonly lines: readonly EventFd[];
}

interface Step {
  readonly what: string;
  readonly run: (vmm: Vmm) => Promise<unknown>;
}

/** Regions that are there, one that is not, and indices beyond. */
const region = fc.constantFrom(0, 0, 0, 2, CONFIG, CONFIG, 1, 5, 8, 9, 1000);
const offset = fc.oneof(
  fc.constantFrom(...Object.values(At).map((at) => (typeof at === 'number' ? at : at(0)))),
  fc.nat(0x1010),
  fc.maxSafeNat(),
);
const data = fc.uint8Array({ minLength: 1, maxLength: 12 });
const irqIndex = fc.constantFrom(2, 2, 2, 0, 1, 3, 4, 5, 77);
const vector = fc.oneof(fc.nat(LINES), fc.constant(0xffff_fff0));
const line = fc.integer({ min: -1, max: LINES - 1 });
const page = fc.nat(3).map((number) => BigInt(number * PAGE));
const pages = fc.constantFrom(1, 1, 1, 2, FILE_PAGES, 0).map((number) => BigInt(number * PAGE));
const fileOffset = fc.constantFrom(0, 0, 1, 2, FILE_PAGES).map((number) => BigInt(number * PAGE));
const odd = fc.constantFrom(0n, 0n, 0n, 0n, 0n, 0n, 0n, 1n, 2048n);
const access = fc.constantFrom('r', 'w', 'rw');

const ranges = fc.array(fc.record({ iova: page, size: pages }), { maxLength: 2 });

function step<T extends object>(
  name: string,
  input: fc.Arbitrary<T>,
  run: (vmm: Vmm, input: T) => Promise<unknown>,
): fc.Arbitrary<Step> {
  return input.map((value) => ({
    what: `${name} ${fc.stringify(value)}`,
    run: (vmm) => run(vmm, value),
  }));
}

const request = fc.oneof(
  step('info', fc.record({ index: fc.constantFrom(0, 1, 2, 7, 8, 9, 5000) }), async ({ device }, { index }) => {
    // The files of a region are told in this process only.
    const { map: _map, ...info } = await device.regionInfo(index);
    return [await device.info(), info];
  }),
  step('mapRegion', fc.record({ index: fc.constantFrom(0, 1, 7, 9) }), ({ device }, { index }) =>
    device.mapRegion(index),
  ),
  step(
    'feature',
    fc.record({
      index: fc.constantFrom(0, 1, 2, 6, 7, 8, 8, 9, 999),
      get: fc.boolean(),
      set: fc.boolean(),
      probe: fc.nat(3).map((chance) => chance === 0),
      data: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(24))),
      replySize: fc.nat(64),
    }),
    ({ device }, input) => device.feature(input),
  ),
  step('irqInfo', fc.record({ index: irqIndex }), ({ device }, { index }) => device.irqInfo(index)),
  step('read', fc.record({ region, offset, count: fc.nat(20) }), ({ device }, input) =>
    device.readRegion(input.region, input.offset, input.count),
  ),
  step('write', fc.record({ region, offset, data, posted: fc.boolean() }), ({ device }, input) =>
    device.writeRegion(input.region, input.offset, input.data, { posted: input.posted }),
  ),
  step('command', fc.record({ bits: fc.constantFrom(0, 2, 4, 6, 6, 6, 6) }), ({ device }, { bits }) =>
    device.writeRegister(CONFIG, At.command, 2, bits),
  ),
  step(
    'eventfds',
    fc.record({ index: irqIndex, start: vector, lines: fc.array(line, { maxLength: 4 }) }),
    ({ device, lines }, input) =>
      device.setIrqs({
        index: input.index,
        start: input.start,
        eventfds: input.lines.map((number) => lines[number]?.fd ?? -1),
      }),
  ),
  step(
    'trigger',
    fc.record({ index: irqIndex, start: vector, booleans: fc.array(fc.boolean(), { maxLength: 4 }) }),
    ({ device }, input) => device.setIrqs(input),
  ),
  step(
    'act',
    fc.record({ index: irqIndex, start: vector, count: vector, action: fc.constantFrom('mask', 'unmask', 'trigger') }),
    ({ device }, input) => device.setIrqs(input),
  ),
  step('raise', fc.record({ vector: fc.nat(2) }), ({ instance }, input) => {
    coreOf(instance.handle).triggerIrq(VfioIrq.msix, input.vector);
    return Promise.resolve();
  }),
  step('reset', fc.record({}), ({ device }) => device.reset()),
);

const memory = fc.oneof(
  step(
    'map',
    fc.record({ iova: page, size: pages, odd, access, offset: fileOffset, how: fc.nat(9) }),
    ({ device, file, plain }, input) =>
      device.dmaMap({
        iova: input.iova + input.odd,
        size: input.size,
        access: input.access,
        ...(input.how > 3 ? { file, offset: input.offset } : {}),
        // Nobody answers for what has neither.
        ...(input.how > 0 && input.how <= 3 ? { memory: plain.subarray(0, Number(input.size)) } : {}),
      }),
  ),
  step('startLogging', fc.record({ pageSize: fc.constantFrom(4096n, 4096n, 8192n, 1000n), ranges }), (vmm, input) =>
    vmm.device.feature({ index: DeviceFeature.dmaLoggingStart, set: true, data: encodeDmaLoggingStart(input) }),
  ),
  step(
    'reportLogging',
    fc.record({ iova: page, size: pages, pageSize: fc.constantFrom(4096n, 8192n, 0n) }),
    (vmm, input) =>
      vmm.device.feature({
        index: DeviceFeature.dmaLoggingReport,
        get: true,
        data: encodeDmaLoggingReport(input),
        replySize: 32,
      }),
  ),
  step('stopLogging', fc.record({}), ({ device }) =>
    device.feature({ index: DeviceFeature.dmaLoggingStop, set: true }),
  ),
  step('unmapDirty', fc.record({ iova: page, size: pages }), ({ device }, input) => device.dmaUnmapDirty(input, 4096n)),
  step('unmap', fc.record({ iova: page, size: pages, odd }), ({ device }, input) =>
    device.dmaUnmap({ iova: input.iova, size: input.size + input.odd }),
  ),
  step('unmapAll', fc.record({ certain: fc.nat(3) }), ({ device }, { certain }) =>
    certain === 0 ? device.dmaUnmapAll() : Promise.resolve(),
  ),
  step('dma', fc.record({ iova: page, data }), ({ context, file, plain }, input) =>
    context.dma.write(input.iova, input.data).then(
      () => [...new Uint8Array(file.buffer), ...plain].join(),
      () => 'failed',
    ),
  ),
  step('dmaRead', fc.record({ iova: page, count: fc.nat(5000) }), async ({ context }, { count, iova }) => {
    const into = new Uint8Array(count);
    return context.dma.read(iova, into).then(
      () => into.join(),
      () => 'failed',
    );
  }),
);

/** Half of them are about memory, where two requests have to fit together. */
const steps = fc.oneof(request, memory);

/** What a step ended with, in a form that can be compared. */
async function outcome(vmm: Vmm, { run }: Step): Promise<unknown> {
  const result: unknown = await run(vmm).catch((error: unknown) => {
    if (!(error instanceof VfioError)) throw error;
    return { code: error.code, errno: error.errno, request: error.request, message: error.message };
  });
  return { result, interrupts: vmm.lines.map((each) => each.read()) };
}

async function open(face: (typeof FACES)[number]): Promise<Vmm & AsyncDisposable> {
  const { context, device: instance } = await acmeInstance();
  const device = await openFace(face, instance);
  const file = memoryFile(FILE_PAGES * PAGE);
  const lines = Array.from({ length: LINES }, () => eventfd());
  return {
    device,
    instance,
    context,
    file,
    plain: new Uint8Array(FILE_PAGES * PAGE),
    lines,
    [Symbol.asyncDispose]: async () => {
      await device.close();
      await instance.close();
      file.close();
      for (const each of lines) each.close();
    },
  };
}

it('a device does the same in this process and behind a socket, whatever it is asked for', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 60 }), async (sequence) => {
      await using inProcess = await open('in this process');
      await using behindSocket = await open('behind a socket');
      for (const [index, each] of sequence.entries()) {
        const expected = await outcome(inProcess, each);
        expect(await outcome(behindSocket, each), `step ${index}: ${each.what}`).toEqual(expected);
      }
    }),
    { numRuns: 150 },
  );
});
