/** Something that went wrong because of what the guest or its client did. */
export interface GuestError {
  /** What kind it is, the same for all of it: `frozenWrites`, `SWERROR 0x53`. */
  readonly kind: string;
  /** The first of it in words, with register and queue where they are known. */
  readonly message: string;
  /** How often, since the present client came, or the last one. */
  readonly count: number;
}

/** Gives everything of every kind, counted since the instance was made. */
export type GuestErrorSource = () => readonly GuestError[];

/**
 * What the guest did wrong, by kind, since its client came. Counters are kept where the mistakes are seen and only looked
 * at here, now and then: no access pays for it.
 */
export class GuestErrors {
  readonly #source: GuestErrorSource;
  readonly #before = new Map<string, number>();
  readonly #present = new Map<string, GuestError>();

  constructor(source: GuestErrorSource) {
    this.#source = source;
  }

  /** A client comes: counts begin at 0. */
  begin(): void {
    this.#present.clear();
    this.#before.clear();
    for (const { kind, count } of this.#source()) this.#before.set(kind, count);
  }

  /** Counts what came since the last look. Returns those of a kind that was not there yet. */
  look(): readonly GuestError[] {
    const first: GuestError[] = [];
    for (const { kind, message, count: total } of this.#source()) {
      const count = total - (this.#before.get(kind) ?? 0);
      if (count <= 0) continue;
      const known = this.#present.get(kind);
      const error = { kind, message: known?.message ?? message, count };
      this.#present.set(kind, error);
      if (known === undefined) first.push(error);
    }
    return first;
  }

  /** As of the last look. */
  get all(): readonly GuestError[] {
    return [...this.#present.values()];
  }
}
