/** Lines that may be told in one period, and its length in milliseconds. */
const LINES = 100;
const PERIOD_MS = 10_000;

/** Keeps a client that comes and goes without end from filling the operator's log. */
export class LineBudget {
  readonly #tell: (line: string) => void;
  readonly #now: () => number;
  #began = -Infinity;
  #told = 0;
  #leftOut = 0;

  /** @param now - milliseconds of a clock that never goes back */
  constructor(tell: (line: string) => void, now: () => number = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  /** Tells a line, or counts it when 100 were told in these 10 s; the next line behind them is preceded by the count. */
  line(text: string): void {
    if (this.#now() - this.#began >= PERIOD_MS) this.#beginPeriod();
    if (this.#told === LINES) {
      this.#leftOut += 1;
      return;
    }
    this.#told += 1;
    this.#tell(text);
  }

  #beginPeriod(): void {
    this.#began = this.#now();
    this.#told = 0;
    if (this.#leftOut > 0) this.#tell(`${this.#leftOut} lines about clients were left out`);
    this.#leftOut = 0;
  }
}
