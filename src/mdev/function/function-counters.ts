import type { DeviceCore, DeviceStatistics } from '../../native/binding.ts';
import type { GuestError } from '../errors/guest-errors.ts';
import { RefusedWrites } from '../errors/refused-writes.ts';
import type { RegisterRegions } from '../regions/register-regions.ts';

/** What one function counts: natively, and where hooks run. */
export class FunctionCounters {
  readonly #core: DeviceCore;
  readonly #refused: RefusedWrites;

  constructor(core: DeviceCore, registers: RegisterRegions) {
    this.#core = core;
    this.#refused = new RefusedWrites(registers);
  }

  /** Counters of what the guest and the client did, and of what was refused. */
  statistics(): DeviceStatistics {
    const native = this.#core.statistics();
    const { dropped, frozen } = this.#refused.counts;
    return {
      ...native,
      droppedWrites: native.droppedWrites + dropped,
      frozenWrites: native.frozenWrites + frozen,
    };
  }

  /** What the guest did wrong, as far as the framework sees it. */
  guestErrors(): readonly GuestError[] {
    const { droppedWrites, frozenWrites, dmaFaults, refused } = this.statistics();
    return [
      {
        kind: 'droppedWrites',
        message: `a write was dropped: its register does not take this width${this.#refused.place('dropped')}, or nothing is there`,
        count: droppedWrites,
      },
      {
        kind: 'frozenWrites',
        message: `a write was ignored: its register is locked${this.#refused.place('frozen')}`,
        count: frozenWrites,
      },
      {
        kind: 'dmaFaults',
        message: 'the device could not reach guest memory: not mapped, without the right, or bus master is off',
        count: dmaFaults,
      },
      { kind: 'refused', message: 'an access or a request was refused with an errno', count: refused },
    ];
  }
}
