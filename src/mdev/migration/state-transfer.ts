import { MdevError } from '../errors/mdev-error.ts';
import { checkTimeLimit } from '../errors/time-limit.ts';
import type { DeviceState } from './device-state.ts';

/** How long a step of a {@link StateTransfer} may take. */
export interface TransferLimit {
  /** Milliseconds, 1 to 2^31 - 1; the platform's `answersWithin` when absent. */
  readonly within?: number;
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
   * Stops the instance where it is, with or without a client: until {@link resume} guest memory, interrupts and registers are left alone.
   * @throws `MdevError` `EBUSY` when it is being migrated or quiesced, `ETIMEDOUT` when it did not stop in time; it goes on then. `EIO` when it
   * has failed, `ENODEV` when it is closed.
   */
  suspend(limit?: TransferLimit): Promise<void>;
  /**
   * The bytes; only while suspended.
   * @throws `MdevError` `EIO` when the vendor's part fails, `ETIMEDOUT` when it is not done in time.
   */
  save(limit?: TransferLimit): Promise<Uint8Array>;
  /**
   * Takes the place of the instance that gave these bytes; only while suspended.
   * @throws `MdevError` `EINVAL` that says what is wrong with them; the instance is as it was.
   */
  restore(state: Uint8Array): void;
  /** Ends {@link suspend}. Does nothing when the instance is not suspended. */
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
  suspend(limit: TransferLimit): Promise<void>;
  /** See {@link StateTransfer.resume}. */
  resume(): void;
  /** See {@link StateTransfer.abandon}. */
  abandon(): void;
  /** See {@link StateTransfer.save}. */
  save(limit: TransferLimit): Promise<Uint8Array>;
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

  async suspend(limit: TransferLimit = {}): Promise<void> {
    checkTimeLimit('within', limit.within);
    if (this.#suspended) throw new MdevError('EBUSY', `${this.#host.who} is suspended already`);
    this.#suspended = true;
    try {
      await this.#host.suspend(limit);
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
