import { eventfd, type EventFd } from '../../vfio-user/index.ts';
import { Mismatch } from './mismatch.ts';
import { within } from './wait.ts';

/** One MSI-X vector as a VMM takes it: an eventfd that the device signals. */
export class InterruptLine {
  readonly vector: number;
  readonly #event: EventFd = eventfd();
  /** Interrupts that nobody has taken yet. */
  #waiting = 0;
  #wake: (() => void) | undefined;

  constructor(vector: number) {
    this.vector = vector;
    this.#event.onSignal((count) => {
      this.#waiting += count;
      this.#wake?.();
    });
  }

  /** The eventfd, for SET_IRQS. */
  get fd(): number {
    return this.#event.fd;
  }

  /**
   * Waits for the next interrupt and takes it. Ask before what causes it.
   *
   * @param what - its cause, for messages
   * @throws Error when it does not come, Mismatch when more than one came
   */
  async take(what: string): Promise<void> {
    if (this.#waiting === 0) {
      const interrupt = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(interrupt, `MSI-X vector ${this.vector} after ${what}`);
      this.#wake = undefined;
    }
    this.expectCount(1, what);
    this.#waiting = 0;
  }

  /** @throws Mismatch unless this many interrupts wait to be taken */
  expectCount(count: number, when: string): void {
    if (this.#waiting !== count) {
      throw new Mismatch(
        `the number of interrupts of vector ${this.vector} after ${when}`,
        `${this.#waiting}`,
        `${count}`,
      );
    }
  }

  close(): void {
    this.#event.close();
  }
}
