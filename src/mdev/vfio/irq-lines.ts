import { eventfd, type EventFd } from '../../native/binding.ts';
import { VfioError } from './vfio-error.ts';
import type { SetIrqsRequest } from './vfio-requests.ts';

/** A vector that calls back. */
export interface IrqLine extends AsyncDisposable {
  /** The vector does not call back any more, and has no eventfd, unless a later line has taken it over. Idempotent. */
  close(): Promise<void>;
}

/** Whose eventfd a vector has. */
interface Vector {
  /** The line that was asked for last, if the device takes it. */
  latest: EventFd | undefined;
  /** The line that the device took last. */
  taken: EventFd | undefined;
}

/** The lines of one VMM. A vector has one eventfd, so a later line takes it over from an earlier one. */
export class IrqLines {
  readonly #setIrqs: (request: SetIrqsRequest) => Promise<void>;
  readonly #vectors = new Map<string, Vector>();

  /** @param setIrqs VFIO_DEVICE_SET_IRQS; requests are answered in the order in which they are made. */
  constructor(setIrqs: (request: SetIrqsRequest) => Promise<void>) {
    this.#setIrqs = setIrqs;
  }

  /**
   * Calls back with how often a vector has fired.
   * @throws {@link VfioError} as the device refuses it; `EMFILE`, `ENFILE` when there can be no eventfd.
   */
  async open(index: number, vector: number, listener: (count: number) => void): Promise<IrqLine> {
    const event = newEventfd();
    const name = `${index}:${vector}`;
    const state = this.#vectors.get(name) ?? { latest: undefined, taken: undefined };
    this.#vectors.set(name, state);
    state.latest = event;
    const silence = async (): Promise<void> => {
      if (this.#vectors.get(name) === state) this.#vectors.delete(name);
      // When the device is gone, so is its side of the line.
      await this.#setIrqs({ index, start: vector, eventfds: [-1] }).catch(() => undefined);
    };
    try {
      await this.#setIrqs({ index, start: vector, eventfds: [event.fd] });
    } catch (error) {
      event.close();
      if (state.latest === event) {
        // The device has the line before, which may have been closed meanwhile.
        state.latest = state.taken;
        if (state.taken === undefined) this.#vectors.delete(name);
        else if (state.taken.fd < 0) await silence();
      }
      throw error;
    }
    state.taken = event;
    event.onSignal(listener);
    const close = async (): Promise<void> => {
      if (event.fd < 0) return;
      event.close();
      if (state.latest === event) await silence();
    };
    return { close, [Symbol.asyncDispose]: close };
  }
}

function newEventfd(): EventFd {
  try {
    return eventfd();
  } catch (error) {
    throw VfioError.ofSystem(error);
  }
}
