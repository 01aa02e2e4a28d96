/** Names of errnos, or "ok". */
export type Answer = 'ok' | 'EINVAL' | 'ENOTTY';

/** A SET_IRQS request. An eventfd is the number of one; -1 is none. */
export interface ModelRequest {
  readonly action: 'mask' | 'unmask' | 'trigger';
  readonly data: 'none' | 'bool' | 'eventfd';
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly booleans: readonly boolean[];
  readonly eventfds: readonly number[];
}

interface Vector {
  eventfd: number | undefined;
  masked: boolean;
  pending: boolean;
}

interface Table {
  readonly vectors: readonly Vector[];
  allMasked: boolean;
}

const [INTX, MSI, MSIX, ERR, REQ] = [0, 1, 2, 3, 4] as const;
const INDICES = [INTX, MSI, MSIX, ERR, REQ];

/**
 * What the interrupts of a PCI function do, by VFIO's words: INTx is a level that masks itself, the others are vectors that
 * latch. Written without a look at the native code: the reference for a property test.
 */
export class IrqModel {
  /** Signals of each eventfd since they were last looked at. */
  readonly signals: number[];
  readonly line = { asserted: false, masked: false, disabled: false, eventfd: undefined as number | undefined };
  readonly tables: readonly Table[];
  /** Which of INTx, MSI and MSI-X is enabled. */
  #enabled: number | undefined;
  #msiVectors = 0;
  readonly #counts: readonly number[];

  /** @param counts Vectors by VFIO index. */
  constructor(counts: readonly number[], eventfds: number) {
    this.signals = Array.from({ length: eventfds }, () => 0);
    this.tables = counts.map((count, index) => ({
      allMasked: false,
      vectors: Array.from({ length: index === INTX ? 0 : count }, () => ({
        eventfd: undefined,
        masked: false,
        pending: false,
      })),
    }));
    this.#counts = counts;
  }

  setAsserted(asserted: boolean): void {
    this.line.asserted = asserted;
    this.#settleLine();
  }

  setDisabled(disabled: boolean): void {
    this.line.disabled = disabled;
    this.#settleLine();
  }

  trigger(index: number, vector: number): void {
    const target = this.tables[index]?.vectors[vector];
    if (target !== undefined) target.pending = true;
    this.#settle();
  }

  setAllMasked(index: number, masked: boolean): void {
    const table = this.tables[index];
    if (table !== undefined) table.allMasked = masked;
    this.#settle();
  }

  setMasked(index: number, vector: number, masked: boolean): void {
    const target = this.tables[index]?.vectors[vector];
    if (target !== undefined) target.masked = masked;
    this.#settle();
  }

  reset(index: number): void {
    if (index === INTX) {
      this.line.asserted = false;
      this.line.disabled = false;
    }
    const table = this.tables[index];
    if (table === undefined) return;
    table.allMasked = false;
    for (const vector of table.vectors) {
      vector.masked = false;
      vector.pending = false;
    }
  }

  clientGone(): void {
    for (const index of INDICES) this.#disable(index);
    for (const index of [ERR, REQ]) for (const vector of this.tables[index]?.vectors ?? []) vector.pending = false;
  }

  request(request: ModelRequest): Answer {
    const { action, data, index, start, count, booleans, eventfds } = request;
    const vectors = this.#counts[index];
    if (vectors === undefined) return 'EINVAL';
    if (count === 0) {
      if (action !== 'trigger' || data !== 'none' || start !== 0 || eventfds.length > 0) return 'EINVAL';
      this.#disable(index);
      return 'ok';
    }
    if (start + count > vectors) return 'EINVAL';
    if (data === 'bool' && booleans.length !== count) return 'EINVAL';
    if (eventfds.length > 0 && (data !== 'eventfd' || eventfds.length !== count)) return 'EINVAL';
    const chosen = Array.from({ length: count }, (_, i) => start + i).filter((_, i) => data !== 'bool' || booleans[i]);
    const given = (i: number): number | undefined => {
      const eventfd = eventfds[i] ?? -1;
      return eventfd < 0 ? undefined : eventfd;
    };
    if (index === INTX) return this.#requestIntx(request, chosen.length > 0, given(0));
    const table = this.tables[index];
    if (table === undefined) return 'EINVAL';
    const message = index === MSI || index === MSIX;
    if (action !== 'trigger') return message ? 'ENOTTY' : 'EINVAL';
    if (message && this.#enabled !== undefined && this.#enabled !== index) return 'EINVAL';
    if (data === 'eventfd') {
      if (index === MSI && this.#enabled === MSI && start + count > this.#msiVectors) return 'EINVAL';
      for (let i = 0; i < count; ++i) {
        const vector = table.vectors[start + i];
        if (vector !== undefined) vector.eventfd = given(i);
        this.#settle();
      }
      if (message && this.#enabled === undefined) {
        this.#enabled = index;
        this.#msiVectors = start + count;
      }
      return 'ok';
    }
    if (message && this.#enabled === undefined) return 'EINVAL';
    if (!message && data === 'none' && table.vectors[0]?.eventfd === undefined) return 'EINVAL';
    for (const vector of chosen) this.#signal(table.vectors[vector]?.eventfd);
    return 'ok';
  }

  #requestIntx({ action, data }: ModelRequest, chosen: boolean, eventfd: number | undefined): Answer {
    const enabled = this.#enabled === INTX;
    if (action === 'trigger' && data === 'eventfd') {
      if (this.#enabled !== undefined && !enabled) return 'EINVAL';
      if (eventfd === undefined) {
        this.#disable(INTX);
      } else {
        this.#enabled = INTX;
        this.line.eventfd = eventfd;
        this.#settleLine();
      }
      return 'ok';
    }
    if (!enabled) return 'EINVAL';
    // The model has no event loop: that an unmask eventfd is taken is all that it says of it.
    if (data === 'eventfd') return action === 'mask' ? 'ENOTTY' : 'ok';
    if (!chosen) return 'ok';
    if (action === 'trigger') {
      if (!this.line.disabled) this.#signal(this.line.eventfd);
    } else {
      this.line.masked = action === 'mask';
      this.#settleLine();
    }
    return 'ok';
  }

  #disable(index: number): void {
    if (index === INTX) {
      this.line.eventfd = undefined;
      this.line.masked = false;
    }
    for (const vector of this.tables[index]?.vectors ?? []) vector.eventfd = undefined;
    if (this.#enabled === index) this.#enabled = undefined;
  }

  #settleLine(): void {
    const { asserted, masked, disabled, eventfd } = this.line;
    if (!asserted || masked || disabled || eventfd === undefined) return;
    this.line.masked = true;
    this.#signal(eventfd);
  }

  #settle(): void {
    for (const { vectors, allMasked } of this.tables) {
      for (const vector of vectors) {
        if (!vector.pending || allMasked || vector.masked || vector.eventfd === undefined) continue;
        vector.pending = false;
        this.#signal(vector.eventfd);
      }
    }
  }

  #signal(eventfd: number | undefined): void {
    if (eventfd !== undefined) this.signals[eventfd] = (this.signals[eventfd] ?? 0) + 1;
  }
}
