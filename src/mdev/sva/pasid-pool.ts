import { MdevError } from '../errors/mdev-error.ts';

/** The PASIDs that all instances of one parent have together: hardware has one table for them. */
export class PasidPool {
  readonly #parent: string;
  readonly #limit: number;
  /** How many whom has. */
  readonly #taken = new Map<string, number>();
  #total = 0;

  /** @param parent its name, for messages. */
  constructor(parent: string, limit: number) {
    this.#parent = parent;
    this.#limit = limit;
  }

  /** How many may still be had. */
  get available(): number {
    return this.#limit - this.#total;
  }

  /** @throws {@link MdevError} `ENOSPC` when there is none left, which says who has how many. */
  take(who: string): void {
    if (this.available <= 0) {
      const holders = [...this.#taken].map(([holder, count]) => `${holder} has ${count}`).join(', ');
      throw new MdevError('ENOSPC', `parent ${this.#parent} has ${this.#limit} PASIDs, all allocated: ${holders}`);
    }
    this.#taken.set(who, (this.#taken.get(who) ?? 0) + 1);
    this.#total += 1;
  }

  /** One that was taken. */
  give(who: string): void {
    const left = (this.#taken.get(who) ?? 0) - 1;
    if (left > 0) this.#taken.set(who, left);
    else this.#taken.delete(who);
    this.#total -= 1;
  }
}
