import type { StateSection } from './state-section.ts';

const SIZE = 256;
const TEXT_AT = 2;
const FROZEN = 1;
const IN_ERROR = 2;

/** Who can be frozen. */
export interface FrozenSubject {
  /** Why it is frozen; undefined: it is not. */
  reason(): string | undefined;
  /** It froze while its client had stopped it: the client is told that it is in error. */
  inError(): boolean;
  /** Freezes it, as one that is in error if that is so. */
  freeze(reason: string, inError: boolean): void;
}

/**
 * Whether an instance is frozen, and why: one byte 0, 1 (it is) or 2 (and told as in error), one byte length, and as much of the reason in UTF-8. What was put takes effect by
 * {@link apply}, when everything else is in place.
 */
export class FrozenSection implements StateSection {
  readonly name = 'life cycle';
  readonly size = SIZE;
  /** It is not frozen. */
  readonly empty = new Uint8Array(SIZE);
  readonly #subject: FrozenSubject;
  #next: { readonly reason: string; readonly inError: boolean } | undefined;

  constructor(subject: FrozenSubject) {
    this.#subject = subject;
  }

  take(): Uint8Array {
    const bytes = new Uint8Array(SIZE);
    const reason = this.#subject.reason();
    if (reason === undefined) return bytes;
    bytes[0] = this.#subject.inError() ? IN_ERROR : FROZEN;
    bytes[1] = new TextEncoder().encodeInto(reason, bytes.subarray(TEXT_AT)).written;
    return bytes;
  }

  check(bytes: Uint8Array): void {
    const [frozen = 0, length = 0] = bytes;
    if (frozen > IN_ERROR || length > SIZE - TEXT_AT) throw new Error(`life cycle: ${frozen}, ${length}`);
  }

  put(bytes: Uint8Array): void {
    const [frozen = 0, length = 0] = bytes;
    const reason = new TextDecoder().decode(bytes.subarray(TEXT_AT, TEXT_AT + length));
    this.#next = frozen === 0 ? undefined : { reason, inError: frozen === IN_ERROR };
  }

  /** Freezes the instance if the one whose state was put is frozen. */
  apply(): void {
    const next = this.#next;
    this.#next = undefined;
    // The text is a client's: it is to stay one line.
    if (next !== undefined) this.#subject.freeze(JSON.stringify(next.reason), next.inError);
  }
}
