import { MdevError } from '../errors/mdev-error.ts';

/**
 * Which PASIDs of one instance are allocated. One that was released comes again as late as can be, so that what a device still does with it by mistake
 * does not reach the next one's memory.
 */
export class PasidAllocator {
  readonly #who: string;
  readonly #last: number;
  readonly #limit: number;
  readonly #allocated = new Set<number>();
  #next = 1;

  /**
   * @param who for messages.
   * @param bits of a PASID, 1 to 20.
   * @param limit PASIDs at a time.
   */
  constructor(who: string, bits: number, limit: number) {
    this.#who = who;
    this.#last = 2 ** bits - 1;
    this.#limit = limit;
  }

  /** How many may still be had. */
  get available(): number {
    return this.#limit - this.#allocated.size;
  }

  /** In no particular order. */
  get all(): readonly number[] {
    return [...this.#allocated];
  }

  /**
   * @param wanted that one; any when absent.
   * @throws {@link MdevError} `ENOSPC`, `EEXIST`, or `EINVAL` when it is none from 1 to the largest of the width.
   */
  allocate(wanted?: number): number {
    if (wanted !== undefined) this.#checkFree(wanted);
    if (this.available <= 0) {
      throw new MdevError('ENOSPC', `${this.#who} has ${this.#limit} PASIDs, and all are allocated`);
    }
    const pasid = wanted ?? this.#free();
    this.#allocated.add(pasid);
    return pasid;
  }

  /** @throws {@link MdevError} `ENOENT` when it is not allocated, `EINVAL` when it is none. */
  check(pasid: number): void {
    this.#checkRange(pasid);
    if (!this.#allocated.has(pasid)) throw new MdevError('ENOENT', `PASID ${pasid} of ${this.#who} is not allocated`);
  }

  /** One that is allocated. */
  release(pasid: number): void {
    this.#allocated.delete(pasid);
  }

  #checkRange(pasid: number): void {
    if (Number.isInteger(pasid) && pasid >= 1 && pasid <= this.#last) return;
    throw new MdevError('EINVAL', `the PASID is ${pasid}; ${this.#who} has PASIDs from 1 to ${this.#last}`);
  }

  #checkFree(pasid: number): void {
    this.#checkRange(pasid);
    if (this.#allocated.has(pasid))
      throw new MdevError('EEXIST', `PASID ${pasid} of ${this.#who} is allocated already`);
  }

  /** There is one. */
  #free(): number {
    let pasid = this.#next;
    while (this.#allocated.has(pasid)) pasid = this.#after(pasid);
    this.#next = this.#after(pasid);
    return pasid;
  }

  #after(pasid: number): number {
    return pasid === this.#last ? 1 : pasid + 1;
  }
}
