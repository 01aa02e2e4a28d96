import { join64 } from './bits.ts';
import { Changes } from './changes.ts';
import { fieldset, type Halves } from './fieldset.ts';
import type { Register } from './register.ts';

/** The arguments of one call of a register's hooks. Reused by later calls; a nested call takes another. */
export class HookCall {
  readonly nextHalves: Halves = { low: 0, high: 0 };
  readonly previousHalves: Halves = { low: 0, high: 0 };
  /** What the hook gets as `next`. */
  readonly next: object;
  /** What the hook gets as `previous`. */
  readonly previous: object;
  /** What the hook gets as `access`. */
  readonly access: { index: number; written: number | bigint };
  /** What the hook returned. */
  readonly changes = new Changes();
  readonly #wide: boolean;

  constructor(register: Register) {
    this.#wide = register.width === 64;
    this.next = fieldset(register, this.nextHalves);
    this.previous = fieldset(register, this.previousHalves);
    this.access = { index: 0, written: this.#wide ? 0n : 0 };
  }

  /** Says which element is accessed and which bits a write carried. */
  setAccess(index: number, writtenLow: number, writtenHigh: number): void {
    this.access.index = index;
    this.access.written = this.#wide ? join64(writtenLow, writtenHigh) : writtenLow >>> 0;
  }
}
