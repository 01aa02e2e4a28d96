import { type GuestError, GuestErrors, type GuestErrorSource } from './guest-errors.ts';

/** How often it is looked for what the guest did wrong, milliseconds. */
const PERIOD_MS = 1000;

/** What a {@link GuestErrorWatch} tells. */
export interface GuestErrorListener {
  /** The first error of its kind since the client came. */
  found(error: GuestError): void;
  /** The source threw. */
  failed(error: unknown): void;
}

/** Looks now and then for what the guest did wrong, while a client holds the instance. */
export class GuestErrorWatch {
  readonly #errors: GuestErrors;
  readonly #listener: GuestErrorListener;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: GuestErrorSource, listener: GuestErrorListener) {
    this.#errors = new GuestErrors(source);
    this.#listener = listener;
  }

  /** As of the last look. */
  get all(): readonly GuestError[] {
    return this.#errors.all;
  }

  /** A client comes: counts begin at 0. */
  start(): void {
    this.#guarded(() => {
      this.#errors.begin();
    });
    this.#timer = setInterval(() => {
      this.#look();
    }, PERIOD_MS);
    this.#timer.unref();
  }

  /** The client leaves: looks once more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  #look(): void {
    this.#guarded(() => {
      for (const error of this.#errors.look()) this.#listener.found(error);
    });
  }

  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#listener.failed(error);
    }
  }
}
