import { MdevError } from '../errors/mdev-error.ts';
import { checkTimeLimit } from '../errors/time-limit.ts';
import type { DeviceState } from './device-state.ts';

/** How long a step of a {@link StateTransfer} may take. */
export interface TransferLimit {
  /** Milliseconds, 1 to 2^31 - 1; the platform's `answersWithin` when absent. */
  readonly within?: number;
}

/** How an instance is suspended. */
export interface SuspendOptions extends TransferLimit {
  /** Refuse an instance that its owner has quiesced: who goes on with it somewhere else does not know of that, and would let it run. */
  readonly unlessQuiesced?: boolean;
}

/**
 * The whole state of an instance as bytes that move to another process, or wait in a file. Guest memory, eventfds and what else is a client's are
 * not part of it. The bytes are those of a migration: another version of this package takes them, or says what does not fit.
 */
export interface StateTransfer {
  /** What an instance has to be to take the state: the beginning of the bytes that {@link save} gives. */
  header(): Uint8Array;
  /** @throws `MdevError` `EINVAL` when this instance cannot take a state with such a header; it names what differs. */
  accepts(header: Uint8Array): void;
  /**
   * Stops the instance where it is, with or without a client, also when it is frozen or its owner has quiesced it: until {@link resume} the device leaves guest
   * memory, interrupts and registers alone.
   * @throws `MdevError` `EBUSY` when it is suspended, being migrated, or quiesced (`unlessQuiesced`), has what does not migrate, or a client has come that has
   * not begun to use it; `ETIMEDOUT` when it did not stop in time; it goes on then. `ECANCELED` when it was frozen and a reset has mended it meanwhile;
   * `EINVAL` for a limit out of range; `EIO` when it has failed, `ENODEV` when it is closed.
   */
  suspend(options?: SuspendOptions): Promise<void>;
  /**
   * The bytes; only while suspended.
   * @throws `MdevError` `EBUSY` when it is not suspended or has what does not migrate, `EIO` when the vendor's part fails, `ETIMEDOUT` when it is not done in time,
   * `EINVAL` for a limit out of range. It stays suspended.
   */
  save(limit?: TransferLimit): Promise<Uint8Array>;
  /**
   * Takes the place of the instance that gave these bytes; only while suspended. If that one was frozen, this one freezes.
   * @throws `MdevError` `EINVAL` that says what is wrong with them, `EBUSY` when it is not suspended, `EIO` when it is frozen, which only a reset mends: the
   * instance is as it was. `EIO` also when the vendor's part does not keep to its contract (`MigrationBehaviour`); what leaves no known state fails the instance.
   */
  restore(state: Uint8Array): void;
  /**
   * Ends {@link suspend}. Does nothing when the instance is not suspended.
   * @throws `MdevError` `EIO` when its behaviour threw, which fails it.
   */
  resume(): void;
  /**
   * Another instance goes on with this one's client: its hold ends, and neither the client nor its VMM hears of it. What is suspended stays so, and nobody
   * can hold it any more.
   */
  abandon(): void;
}

/** What an {@link InstanceTransfer} does to its instance. */
export interface TransferHost {
  /** See {@link StateTransfer.suspend}. */
  suspend(options: SuspendOptions): Promise<void>;
  /** See {@link StateTransfer.resume}. */
  resume(): void;
  /** See {@link StateTransfer.abandon}. */
  abandon(): void;
  /** See {@link StateTransfer.save}. */
  save(limit: TransferLimit): Promise<Uint8Array>;
  /** @throws `MdevError` when the instance can take no state. */
  checkRestorable(): void;
  /** For messages. */
  readonly who: string;
}

/** @internal */
export class InstanceTransfer implements StateTransfer {
  readonly #state: DeviceState;
  readonly #host: TransferHost;
  #suspended = false;

  constructor(state: DeviceState, host: TransferHost) {
    this.#state = state;
    this.#host = host;
  }

  header(): Uint8Array {
    return this.#state.begin(false);
  }

  accepts(header: Uint8Array): void {
    const { length } = header;
    const stream = this.#state.receive();
    stream.write(header);
    if (!stream.hasHeader) throw new MdevError('EINVAL', `state: it ends inside its header, after ${length} bytes`);
  }

  async suspend(options: SuspendOptions = {}): Promise<void> {
    checkTimeLimit('within', options.within);
    if (this.#suspended) throw new MdevError('EBUSY', `${this.#host.who} is suspended already`);
    this.#suspended = true;
    try {
      await this.#host.suspend(options);
    } catch (error) {
      this.#suspended = false;
      throw error;
    }
  }

  async save(limit: TransferLimit = {}): Promise<Uint8Array> {
    checkTimeLimit('within', limit.within);
    this.#check();
    return Buffer.concat([this.header(), await this.#host.save(limit)]);
  }

  restore(state: Uint8Array): void {
    this.#check();
    this.#host.checkRestorable();
    const stream = this.#state.receive();
    stream.write(state);
    this.#state.restore(stream);
  }

  resume(): void {
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#host.resume();
  }

  abandon(): void {
    this.#host.abandon();
  }

  #check(): void {
    if (!this.#suspended) throw new MdevError('EBUSY', `${this.#host.who} is not suspended`);
  }
}
