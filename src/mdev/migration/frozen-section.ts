import type { StateSection } from './state-section.ts';

const SIZE = 256;
const TEXT_AT = 2;

/** Who can be frozen. */
export interface FrozenSubject {
  /** Why it is frozen; undefined: it is not. */
  reason(): string | undefined;
  /** Freezes it. */
  freeze(reason: string): void;
}

/**
 * Whether an instance is frozen, and why: one byte 0 or 1, one byte length, and as much of the reason in UTF-8. What was put takes effect by
 * {@link apply}, when everything else is in place.
 */
export class FrozenSection implements StateSection {
  readonly name = 'life cycle';
  readonly size = SIZE;
  /** It is not frozen. */
  readonly empty = new Uint8Array(SIZE);
  readonly #subject: FrozenSubject;
  #next: string | undefined;

  constructor(subject: FrozenSubject) {
    this.#subject = subject;
  }

  take(): Uint8Array {
    const bytes = new Uint8Array(SIZE);
    const reason = this.#subject.reason();
    if (reason === undefined) return bytes;
    bytes[0] = 1;
    bytes[1] = new TextEncoder().encodeInto(reason, bytes.subarray(TEXT_AT)).written;
    return bytes;
  }

  check(bytes: Uint8Array): void {
    const [frozen = 0, length = 0] = bytes;
    if (frozen > 1 || length > SIZE - TEXT_AT) throw new Error(`life cycle: ${frozen}, ${length}`);
  }

  put(bytes: Uint8Array): void {
    const [frozen, length = 0] = bytes;
    this.#next = frozen === 1 ? new TextDecoder().decode(bytes.subarray(TEXT_AT, TEXT_AT + length)) : undefined;
  }

  /** Freezes the instance if the one whose state was put is frozen. */
  apply(): void {
    const reason = this.#next;
    this.#next = undefined;
    // The text is a client's: it is to stay one line.
    if (reason !== undefined) this.#subject.freeze(JSON.stringify(reason));
  }
}
