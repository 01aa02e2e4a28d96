/** Random writes to portals of dedicated and shared queues, by commands, resets and moves, against a model of portals. */
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';

import type { WorkQueueConfig } from '../../src/engine/index.ts';
import { ModelPortals, type ModelQueue } from './reference/portals.ts';
import { Offset, PAGE, PORTAL_REGION, PORTAL_STRIDE, TestDevice, waitFor } from './support/device.ts';

const QUEUES = 2;
const REGION_SIZE = QUEUES * PORTAL_STRIDE;
const NOTHING = { registers: [], vectors: [] };

type Step =
  | { readonly kind: 'write'; readonly at: number; readonly size: number; readonly posted: boolean }
  | { readonly kind: 'stores'; readonly at: number; readonly width: number; readonly posted: boolean }
  | { readonly kind: 'read'; readonly at: number; readonly size: number }
  | {
      readonly kind: 'enable';
      readonly queue: number;
      readonly mode: 'dedicated' | 'shared';
      readonly size: number;
      readonly threshold: number;
    }
  | { readonly kind: 'threshold'; readonly queue: number; readonly threshold: number }
  | { readonly kind: 'disable' | 'abort' | 'resetQueue'; readonly queue: number }
  | { readonly kind: 'work' | 'reset' | 'move' };

const queue = fc.nat({ max: QUEUES - 1 });
const page = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1) }, { weight: 1, arbitrary: fc.constantFrom(2, 3) });
/** Few slots, so that they fill up, at both ends of a page. */
const slot = fc
  .tuple(queue, page, fc.constantFrom(0, 1, 62, 63))
  .map(([index, place, number]) => index * PORTAL_STRIDE + place * PAGE + number * 64);
const posted = fc.boolean();
const inSlot = fc.tuple(slot, fc.nat({ max: 63 })).map(([at, byte]) => at + byte);
const size = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(1, 2, 4, 8) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 64 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 300 }) },
);
const steps: fc.Arbitrary<Step>[] = [
  fc.record({ kind: fc.constant('write' as const), at: slot, size: fc.constant(64), posted }),
  fc.record({ kind: fc.constant('write' as const), at: inSlot, size, posted }),
  fc.record({ kind: fc.constant('stores' as const), at: slot, width: fc.constantFrom(1, 2, 4, 8, 16, 32), posted }),
  fc.record({ kind: fc.constant('read' as const), at: inSlot, size }),
];
const seldom: fc.Arbitrary<Step>[] = [
  fc.record({
    kind: fc.constant('enable' as const),
    queue,
    mode: fc.constantFrom('shared', 'shared', 'dedicated'),
    size: fc.integer({ min: 1, max: 8 }),
    threshold: fc.nat({ max: 8 }),
  }),
  fc.record({
    kind: fc.constant('threshold' as const),
    queue,
    threshold: fc.oneof(fc.nat({ max: 9 }), fc.nat(0xffff)),
  }),
  fc.record({ kind: fc.constantFrom('disable', 'abort', 'resetQueue'), queue }),
  fc.record({ kind: fc.constantFrom('work', 'work', 'work', 'reset', 'move') }),
];
const anyStep = fc.oneof({ weight: 4, arbitrary: fc.oneof(...steps) }, { weight: 1, arbitrary: fc.oneof(...seldom) });

const devices: TestDevice[] = [];
afterEach(() => {
  for (const device of devices.splice(0)) device[Symbol.dispose]();
});

/** A device whose engines work when they are told to. */
function quietDevice(): TestDevice {
  const device = new TestDevice({ pages: 1, queues: QUEUES });
  device.group.setEngines([]);
  devices.push(device);
  return device;
}

function configOf({ mode, size: entries, threshold }: ModelQueue, device: TestDevice): WorkQueueConfig | undefined {
  if (mode === 'off') return undefined;
  return device.configuration({ mode, size: entries, threshold: Math.min(threshold, entries) });
}

class Scene {
  readonly model = new ModelPortals(QUEUES);
  device = quietDevice();

  async do(step: Step): Promise<void> {
    switch (step.kind) {
      case 'write':
        this.#write(step.at, Math.min(step.size, REGION_SIZE - step.at), step.posted);
        break;
      case 'stores':
        for (let at = 0; at < 64; at += step.width) this.#write(step.at + at, step.width, step.posted);
        break;
      case 'read':
        this.#read(step.at, Math.min(step.size, REGION_SIZE - step.at));
        break;
      case 'enable':
        this.#enable(step);
        break;
      case 'threshold':
        this.device.queues.setThreshold(step.queue, step.threshold);
        this.#of(step.queue).threshold = step.threshold;
        break;
      case 'disable':
      case 'abort':
      case 'resetQueue':
        this.#command(step.queue, step.kind);
        break;
      case 'work':
        this.#work();
        break;
      case 'reset':
        this.device.queues.reset();
        for (const own of this.model.queues) {
          Object.assign(own, { mode: 'off', waiting: 0 });
          own.forget(true);
        }
        break;
      case 'move':
        await this.#move();
        break;
    }
    this.#compare();
  }

  /** Every byte of every slot that steps write to. */
  readAll(): void {
    for (let at = 0; at < REGION_SIZE; at += PAGE) {
      this.#read(at, 128);
      this.#read(at + PAGE - 128, 128);
    }
  }

  #of(index: number): ModelQueue {
    const own = this.model.queues[index];
    if (own === undefined) throw new Error(`no queue ${index}`);
    return own;
  }

  #write(at: number, length: number, isPosted: boolean): void {
    const errno = this.device.core.write(PORTAL_REGION, at, new Uint8Array(length), isPosted);
    expect(errno).toBe(this.model.write(at, length, isPosted));
  }

  #read(at: number, length: number): void {
    const into = new Uint8Array(length);
    expect(this.device.core.read(PORTAL_REGION, at, into)).toBe(0);
    expect([...into]).toEqual([...into.keys()].map((byte) => this.model.read(at + byte)));
  }

  #enable({ mode, queue: index, size: entries, threshold }: Step & { kind: 'enable' }): void {
    const own = this.#of(index);
    if (own.mode !== 'off') return;
    own.enable(mode, entries, Math.min(threshold, entries));
    this.device.enable(index, { mode, size: entries, threshold: own.threshold });
  }

  #command(index: number, kind: 'disable' | 'abort' | 'resetQueue'): void {
    const own = this.#of(index);
    if (own.mode === 'off') return;
    const stopAccepting = kind !== 'abort';
    const abort = kind !== 'disable';
    const ended = this.device.queues.command({ queues: [index], stopAccepting, abort, effects: NOTHING });
    expect(ended).toBe(abort || own.waiting === 0);
    if (abort) own.waiting = 0;
    if (stopAccepting) own.stop();
    if (kind === 'resetQueue') own.forget(true);
    // A command that waits would refuse the next one.
    if (!ended) this.#work();
  }

  #work(): void {
    this.device.group.setEngines(this.device.engines);
    waitFor('all descriptors', () =>
      this.model.queues.every((_, index) => {
        const { inFlight, waiting } = this.device.queues.statistics(index);
        return waiting + inFlight === 0;
      }),
    );
    this.device.group.setEngines([]);
    for (const own of this.model.queues) own.waiting = 0;
  }

  async #move(): Promise<void> {
    const before = this.device;
    await before.queues.suspend();
    const state = before.queues.state();
    const next = quietDevice();
    next.words.set(before.words);
    await next.queues.suspend();
    next.queues.restore(
      state,
      this.model.queues.map((own) => configOf(own, next)),
    );
    next.queues.resume();
    this.device = next;
    for (const own of this.model.queues) own.retried = 0;
  }

  #compare(): void {
    for (const [index, { dropped, full, retried, submitted, waiting }] of this.model.queues.entries()) {
      expect(this.device.queues.statistics(index)).toMatchObject({ dropped, full, retried, submitted, waiting });
      expect(this.device.word(Offset.status + 32 * index) & 0xffff).toBe(waiting);
    }
  }
}

test('portals do what the model does', async () => {
  const seen = { submitted: 0, retried: 0, dropped: 0, full: 0, taken: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 120 }), async (list) => {
      const scene = new Scene();
      try {
        for (const mode of ['shared', 'dedicated'] as const) {
          await scene.do({ kind: 'enable', queue: mode === 'shared' ? 0 : 1, mode, size: 6, threshold: 3 });
        }
        for (const step of list) await scene.do(step);
        scene.readAll();
        for (const own of scene.model.queues) {
          for (const name of ['submitted', 'retried', 'dropped', 'full'] as const) seen[name] += own[name];
          seen.taken += own.slots.filter(({ taken }) => taken).length;
        }
      } finally {
        for (const device of devices.splice(0)) device[Symbol.dispose]();
      }
    }),
    { numRuns: 80 },
  );
  // It came to all of this, whatever the seed: to the rarest, a full dedicated queue, some ten times.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(2);
});
