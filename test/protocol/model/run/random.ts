/** Numbers from a seed: the same ones on every machine (PCG-XSH-RR, 32 bits of a 64-bit state). */
export class Random {
  #state: bigint;

  constructor(...seeds: readonly number[]) {
    this.#state = 0x853c_49e6_748f_ea9bn;
    for (const seed of seeds) {
      this.#state = BigInt.asUintN(64, this.#state ^ (BigInt(seed) * 0x9e37_79b9_7f4a_7c15n));
      this.bits();
    }
  }

  /** 32 bits. */
  bits(): number {
    const old = this.#state;
    this.#state = BigInt.asUintN(64, old * 6364136223846793005n + 1442695040888963407n);
    const mixed = Number(BigInt.asUintN(32, ((old >> 18n) ^ old) >> 27n));
    const turn = Number(old >> 59n);
    return ((mixed >>> turn) | (mixed << (-turn & 31))) >>> 0;
  }

  /** 0 to `below` - 1. */
  below(below: number): number {
    return this.bits() % below;
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined && items.length === 0) throw new Error('nothing to pick from');
    return item as T;
  }

  /** One of them, as often as its weight says. */
  weighted<T>(choices: readonly (readonly [number, T])[]): T {
    let rest = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, item] of choices) {
      if (rest < weight) return item;
      rest -= weight;
    }
    throw new Error('no weights');
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => (this.oneIn(3) ? 0xff : this.bits() & 0xff));
  }
}
