import { setTimeout } from 'node:timers/promises';

import { type DeviceCore, whileReadersAreOut } from '../native/binding.ts';
import { coreOf, type DeviceHandle } from '../native/device-handle.ts';
import { checkConfig, checkEventLog, checkOptions, checkVectors, MAX_ENTRIES, MAX_PASID } from './check-options.ts';
import { checkInteger } from './checks.ts';
import { nativeGroup } from './group.ts';
import { native, type NativeQueueDevice } from './native.ts';
import type { CommandEffects, QueueCommand } from './queue-command.ts';
import type { EventLogConfig, QueueDeviceOptions, WorkQueueConfig } from './queue-options.ts';
import { type EventLogStatistics, queueStatistics, type QueueStatistics } from './queue-statistics.ts';
import {
  capabilityBits,
  CONFIGURATION_WORDS,
  configurationWords,
  effectWords,
  errorWords,
  eventLogWords,
  typedCapabilityWords,
} from './words.ts';

export type { DeviceHandle };

/** How long a client may take for its answers when nothing else is said. */
const ANSWERS_WITHIN_MS = 100;
const MAX_ANSWERS_WITHIN_MS = 60_000;
const ANSWER_LOOK_MS = 1;

/** An error for SWERROR (DSA specification 9.2.15). */
export interface SoftwareErrorReport {
  /** The code, bits 15:8 of the register, 1 to 255. */
  readonly code: number;
  /** The work queue it is about. */
  readonly queue?: number;
}

/**
 * The work queues of one device, and its portals: from a guest's write to the completion record and the interrupt, no
 * JavaScript runs.
 *
 * The device's registers and interrupts must be there before; the register region and the number of MSI-X vectors must
 * stay as they are. All methods are for the owner's thread.
 */
export class QueueDevice implements Disposable {
  readonly #native: NativeQueueDevice;
  readonly #options: QueueDeviceOptions;
  readonly #core: DeviceCore;
  #closed = false;
  /** Of {@link resume}: a suspension that waits for engines is void then. */
  #resumes = 0;

  /** @throws RangeError or TypeError that names the option and what was expected. */
  constructor(device: DeviceHandle, options: QueueDeviceOptions) {
    const places = checkOptions(options);
    const { capabilities } = options;
    this.#options = { ...options, capabilities: { ...capabilities, operations: capabilities.operations.slice() } };
    this.#core = coreOf(device);
    this.#native = new native.QueueDevice(
      this.#core,
      options.portalRegion,
      options.registerRegion,
      options.queues,
      options.vectors,
      places,
      capabilityBits(capabilities),
      typedCapabilityWords(capabilities.typed),
    );
  }

  /**
   * Enables a work queue: its portals take descriptors from now on.
   *
   * @throws RangeError for a value out of range, TypeError for a closed group, Error when the queue is enabled, or
   * descriptors of an earlier enable are still in flight.
   */
  enable(queue: number, config: WorkQueueConfig): void {
    checkInteger('queue', queue, 0, this.#options.queues - 1);
    const operations = checkConfig(config, this.#options.capabilities);
    this.#native.enable(queue, nativeGroup(config.group), configurationWords(config), operations);
  }

  /**
   * Changes the threshold of a shared queue that is enabled (DSA specification 9.2.24: at any time). What waits already
   * stays. Without effect on a queue that is not enabled: {@link enable} sets it.
   *
   * @param threshold 0 to 65,535; more than the queue's size counts as that.
   * @throws RangeError for a value out of range.
   */
  setThreshold(queue: number, threshold: number): void {
    checkInteger('queue', queue, 0, this.#options.queues - 1);
    checkInteger('threshold', threshold, 0, MAX_ENTRIES);
    this.#native.setThreshold(queue, threshold);
  }

  /**
   * Carries out a command on queues: first what `stopAccepting` and `abort` say, then, when everything that was submitted
   * to them before has ended, the effects. Queues that are not enabled have nothing to wait for.
   *
   * @returns true when the effects have been applied; false when an engine will do that later, without JavaScript.
   * @throws RangeError for an argument out of range, Error while another command is pending; then nothing has changed.
   */
  command(command: QueueCommand): boolean {
    const { effects, queues, stopAccepting, abort, pasid, eventLog } = command;
    for (const queue of queues) checkInteger('queue', queue, 0, this.#options.queues - 1);
    checkVectors(effects.vectors);
    if (pasid !== undefined) checkInteger('pasid', pasid, 0, MAX_PASID);
    if (pasid !== undefined && stopAccepting) throw new RangeError('pasid: queues cannot stop accepting for one PASID');
    return this.#native.command(
      Uint32Array.from(queues),
      stopAccepting,
      abort,
      effectWords(effects.registers),
      Uint32Array.from(effects.vectors),
      pasid,
      eventLog === 'drain',
      eventLog === 'close',
    );
  }

  /**
   * Opens the event log: errors go there instead of SWERROR, until a command or a reset closes it. The next entry goes where
   * EVLSTATUS says. When the log is full, or its memory cannot be written, the error is lost and SWERROR holds code 0x54.
   *
   * @throws RangeError for a value out of range, TypeError for a closed group, Error when it is open.
   */
  openEventLog(config: EventLogConfig): void {
    checkEventLog(config);
    this.#native.openEventLog(nativeGroup(config.group), eventLogWords(config));
  }

  /**
   * Function-level or device reset: disables all queues, abandons their descriptors (at their next chunk), what portals
   * have of unfinished descriptors, and a pending command. Waits until no engine is at a chunk of them: on return, nothing
   * of an abandoned descriptor comes any more, be it data, record, interrupt or register change, and queues may be
   * enabled again. In `stop`, `reset` and `busMaster` of a behaviour the engines have left already; elsewhere the thread waits, for as long as the pages
   * of one chunk take to come.
   */
  reset(): void {
    this.#native.reset();
  }

  /**
   * Stops everything where it is: nothing is dispatched, and each descriptor in flight stops at its chunk. When this
   * resolves, and until {@link resume}, no guest memory, register or vector is touched. What the guest submits meanwhile
   * waits; so does the end of a command.
   *
   * Requests by message that the client has not answered come to their end first. Those that take longer than
   * `answersWithin` are cancelled, and made again with the same data when the device goes on. Only a completion record's
   * status that the client may have written already counts as written: the guest may use that memory for something else.
   *
   * Resolves early when the device is resumed or closed meanwhile. May be called again. An engine that waits for a page of the client's memory is waited for,
   * however long that takes; the thread does other things meanwhile.
   *
   * @param answersWithin milliseconds, 0 to 60,000.
   * @throws RangeError when it is something else.
   */
  async suspend({ answersWithin = ANSWERS_WITHIN_MS }: { readonly answersWithin?: number } = {}): Promise<void> {
    checkInteger('answersWithin', answersWithin, 0, MAX_ANSWERS_WITHIN_MS);
    const resumes = this.#resumes;
    const isWanted = (): boolean => !this.#closed && resumes === this.#resumes;
    const suspended = whileReadersAreOut([this.#core], () => {
      if (isWanted()) this.#native.suspend();
    });
    if (suspended instanceof Promise) await suspended;
    if (!isWanted()) return;
    const end = performance.now() + answersWithin;
    while (!this.#closed && !this.#native.settle(false)) {
      const left = end - performance.now();
      if (left <= 0) {
        this.#native.settle(true);
        return;
      }
      // Answers come through this thread's event loop, and seldom: nobody is told of them.
      await setTimeout(Math.min(left, ANSWER_LOOK_MS));
    }
  }

  /** Every descriptor goes on where it stopped, and ends once. Does nothing when the device is not suspended. */
  resume(): void {
    this.#resumes++;
    this.#native.resume();
  }

  /**
   * What the device is besides its registers: queues with what waits and what is in flight, how far each of that has
   * come, halves of descriptors in portals, what the command waits for, and counters. The device stays suspended.
   *
   * @returns bytes of a format of their own, with a version.
   * @throws Error when the device is not suspended.
   */
  state(): Uint8Array<ArrayBuffer> {
    return this.#native.state();
  }

  /**
   * Goes on for another device, whose {@link state} this is, when it is resumed; what it has itself is reset. Registers,
   * among them the occupancy of queues, have been restored before.
   *
   * @param queues How the restored registers have configured each queue, and who serves it; undefined for queues that
   * are not enabled.
   * @param effects Of the command that waits, when the restored registers say that one does: the state does not tell what
   * a command may change.
   * @param eventLog If the restored registers say that it is in use.
   * @throws RangeError when these bytes are not such a state, or do not fit to the queues; Error when the device is not
   * suspended. Then it is as it was.
   */
  restore(
    state: Uint8Array,
    queues: readonly (WorkQueueConfig | undefined)[],
    effects?: CommandEffects,
    eventLog?: EventLogConfig,
  ): void {
    const count = this.#options.queues;
    checkInteger('number of queues', queues.length, count, count);
    checkVectors(effects?.vectors ?? []);
    if (eventLog !== undefined) checkEventLog(eventLog);
    const configurations = queues.map((config) => {
      if (config === undefined) return { words: new Uint32Array(CONFIGURATION_WORDS), operations: new Uint8Array(32) };
      return { words: configurationWords(config), operations: checkConfig(config, this.#options.capabilities) };
    });
    this.#native.restore(
      state,
      queues.map((config) => (config === undefined ? undefined : nativeGroup(config.group))),
      Uint32Array.from(configurations.flatMap(({ words }) => [...words])),
      Uint8Array.from(configurations.flatMap(({ operations }) => [...operations])),
      effects && effectWords(effects.registers),
      effects && Uint32Array.from(effects.vectors),
      eventLog && nativeGroup(eventLog.group),
      eventLog && eventLogWords(eventLog),
    );
  }

  /**
   * Records an error in the event log if it is open, else in SWERROR, with the interrupt if GENCTRL wants it. While an earlier
   * one is in SWERROR, only the overflow bit is set.
   *
   * @throws RangeError for a value out of range.
   */
  recordError({ code, queue }: SoftwareErrorReport): void {
    checkInteger('code', code, 1, 0xff);
    if (queue !== undefined) checkInteger('queue', queue, 0, this.#options.queues - 1);
    this.#native.recordError(errorWords(code, queue));
  }

  /** Counters of a queue. @throws RangeError when there is no such queue. */
  statistics(queue: number): QueueStatistics {
    checkInteger('queue', queue, 0, this.#options.queues - 1);
    return queueStatistics(this.#native.statistics(queue));
  }

  /** Counters of the event log; zeros without one. */
  eventLogStatistics(): EventLogStatistics {
    const [written = 0, lost = 0] = this.#native.eventLogStatistics();
    return { written, lost };
  }

  /** Descriptors of a queue that wait for an engine. @throws RangeError when there is no such queue (0 to `queues` - 1). */
  occupancy(queue: number): number {
    return this.statistics(queue).waiting;
  }

  /** Descriptors of a queue that were begun and have not ended. @throws RangeError when there is no such queue (0 to `queues` - 1). */
  inFlight(queue: number): number {
    return this.statistics(queue).inFlight;
  }

  /**
   * Resets it, takes the portals away, and waits until no engine touches the device's memory: at most one chunk. Repeats
   * do nothing; every other method throws from then on.
   */
  close(): void {
    this.#closed = true;
    this.#native.close();
  }

  /** {@link close} */
  [Symbol.dispose](): void {
    this.close();
  }
}
