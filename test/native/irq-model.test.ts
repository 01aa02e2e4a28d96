import { constants } from 'node:os';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createDeviceCore, type DeviceCore, eventfd, type EventFd } from '../../src/native/binding.ts';
import { IrqModel, type ModelRequest } from './support/irq-model.ts';

const { EINVAL, ENOTTY } = constants.errno;
const ANSWERS = { ok: 0, EINVAL, ENOTTY } as const;
const ACTIONS = { mask: 8, unmask: 16, trigger: 32 } as const;
const DATA = { none: 1, bool: 2, eventfd: 4 } as const;

/** Vectors by VFIO index. */
const COUNTS = [1, 4, 70, 1, 1] as const;
const EVENTFDS = 3;

/** The native half of a device, and the eventfds of its client. */
interface Real {
  readonly core: DeviceCore;
  readonly events: readonly EventFd[];
}

/** One step of model and device, and its name for reports. */
class Step implements fc.Command<IrqModel, Real> {
  readonly #name: string;
  readonly #run: (model: IrqModel, real: Real) => void;

  constructor(name: string, run: (model: IrqModel, real: Real) => void) {
    this.#name = name;
    this.#run = run;
  }

  check(): boolean {
    return true;
  }

  run(model: IrqModel, real: Real): void {
    this.#run(model, real);
    expect(real.events.map((event) => event.read())).toEqual(model.signals);
    model.signals.fill(0);
    expect(real.core.intxAsserted()).toBe(model.line.asserted);
    model.tables.forEach(({ vectors }, index) => {
      vectors.forEach(({ pending }, vector) => {
        if (real.core.irqPending(index, vector) !== pending) throw new Error(`pending bit of ${index}.${vector}`);
      });
    });
  }

  toString(): string {
    return this.#name;
  }
}

/** A vector of an index, those at the edges of words more often. */
const vectors = fc
  .constantFrom(1 as const, 2 as const, 2 as const, 2 as const, 3 as const, 4 as const)
  .chain((index) =>
    fc
      .oneof(fc.constantFrom(0, 1, 63, 64, 69), fc.nat(69))
      .map((vector) => ({ index, vector: Math.min(vector, COUNTS[index] - 1) })),
  );

const requests: fc.Arbitrary<ModelRequest> = fc
  .record({
    action: fc.constantFrom('mask', 'unmask', 'trigger', 'trigger'),
    data: fc.constantFrom('none', 'bool', 'eventfd', 'eventfd'),
    place: fc.oneof(fc.constant({ index: 0, vector: 0 }), vectors),
    count: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, { weight: 2, arbitrary: fc.constant(0) }, fc.nat(3)),
    shift: fc.constantFrom(0, 0, 0, 0, 0, 0, 1),
    booleans: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    eventfds: fc.array(fc.integer({ min: -1, max: EVENTFDS - 1 }), { minLength: 3, maxLength: 3 }),
    removal: fc.constantFrom(false, false, false, true),
  })
  .map(({ action, data, place, count, shift, booleans, eventfds, removal }) => ({
    action,
    data,
    index: place.index,
    start: count === 0 ? shift : place.vector + shift,
    count,
    booleans: data === 'bool' ? booleans.slice(0, count) : [],
    eventfds: data === 'eventfd' && !removal ? eventfds.slice(0, count) : [],
  }));

const steps = [
  fc.boolean().map(
    (asserted) =>
      new Step(asserted ? 'assert' : 'deassert', (model, { core }) => {
        model.setAsserted(asserted);
        core.setIntxAsserted(asserted);
      }),
  ),
  fc.boolean().map(
    (disabled) =>
      new Step(`disIntx ${disabled}`, (model, { core }) => {
        model.setDisabled(disabled);
        core.setIntxDisabled(disabled);
      }),
  ),
  vectors.map(
    ({ index, vector }) =>
      new Step(`trigger ${index}.${vector}`, (model, { core }) => {
        model.trigger(index, vector);
        core.triggerIrq(index, vector);
      }),
  ),
  fc.tuple(vectors, fc.boolean()).map(
    ([{ index, vector }, masked]) =>
      new Step(`mask ${index}.${vector} ${masked}`, (model, { core }) => {
        model.setMasked(index, vector, masked);
        core.setIrqMasked(index, vector, masked);
      }),
  ),
  fc.tuple(vectors, fc.boolean()).map(
    ([{ index }, masked]) =>
      new Step(`mask all of ${index} ${masked}`, (model, { core }) => {
        model.setAllMasked(index, masked);
        core.setIrqAllMasked(index, masked);
      }),
  ),
  ...[requests, requests, requests].map((arbitrary) =>
    arbitrary.map(
      (request) =>
        new Step(`SET_IRQS ${JSON.stringify(request)}`, (model, { core, events }) => {
          const { action, data, index, start, count, booleans, eventfds } = request;
          const payload = data === 'bool' ? Uint8Array.from(booleans, Number) : null;
          const fds = eventfds.map((eventfd) => events[eventfd]?.fd ?? -1);
          const errno = core.setIrqs(ACTIONS[action] | DATA[data], index, start, count, payload, fds);
          expect(errno).toBe(ANSWERS[model.request(request)]);
        }),
    ),
  ),
  fc.constantFrom(0, 1, 2, 3, 4).map(
    (index) =>
      new Step(`reset ${index}`, (model, { core }) => {
        model.reset(index);
        core.resetIrqs(index);
      }),
  ),
  fc.constant(
    new Step('client gone', (model, { core }) => {
      model.clientGone();
      core.clientGone();
    }),
  ),
];

test('interrupts do what the model says', () => {
  const events = Array.from({ length: EVENTFDS }, () => eventfd());
  try {
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 100, size: 'max' }), (commands) => {
        const core = createDeviceCore();
        try {
          COUNTS.forEach((count, index) => {
            core.setIrqCount(index, count);
          });
          fc.modelRun(() => ({ model: new IrqModel(COUNTS, EVENTFDS), real: { core, events } }), commands);
        } finally {
          core.close();
          for (const event of events) event.read();
        }
      }),
      { numRuns: 500 },
    );
  } finally {
    for (const event of events) event.close();
  }
});
