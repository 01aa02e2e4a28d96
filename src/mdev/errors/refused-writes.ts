import type { RegisterRegions } from '../regions/register-regions.ts';
import { VfioRegion } from '../vfio/vfio.ts';

/** Says where the last refused write was, for people. */
export class RefusedWrites {
  readonly #registers: RegisterRegions;
  /** Refused writes whose place was told, by region and kind. */
  readonly #placed = new Map<string, number>();

  constructor(registers: RegisterRegions) {
    this.#registers = registers;
  }

  /** Writes refused by the registers of accesses with hooks; the native side counts its own. */
  get counts(): { readonly dropped: number; readonly frozen: number } {
    let dropped = 0;
    let frozen = 0;
    for (const { counters } of this.#registers.refusedWrites()) {
      dropped += counters.dropped;
      frozen += counters.frozen;
    }
    return { dropped, frozen };
  }

  /** The register of the last such write since this was last asked, if one came that the interpreter saw. */
  place(refusal: 'dropped' | 'frozen'): string {
    const last = refusal === 'dropped' ? 'lastDropped' : 'lastFrozen';
    let place = '';
    for (const { index, counters } of this.#registers.refusedWrites()) {
      const key = `${index} ${refusal}`;
      if (counters[refusal] > (this.#placed.get(key) ?? 0)) {
        place = ` (${index === VfioRegion.config ? 'config' : `bar${index}`}.${counters[last] ?? ''})`;
      }
      this.#placed.set(key, counters[refusal]);
    }
    return place;
  }
}
