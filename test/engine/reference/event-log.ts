/** Where errors go: SWERROR and the event log, from the specification (5.9, 9.2.15 to 9.2.17), without threads. */

/** An error as the guest can cause it. */
export interface ErrorFields {
  readonly code: number;
  readonly queue?: number;
  readonly operation?: number;
  readonly write?: boolean;
  /** Bits 63:32 of word 1. */
  readonly information?: number;
  /** What stands there in an entry instead. */
  readonly logged?: number;
  readonly address?: bigint;
  /** The completion record, 32 bytes. */
  readonly record?: Uint8Array;
}

const SOFTWARE_ERROR_INTERRUPT = 1;
const EVENT_LOG_INTERRUPT = 4;
const APPEND_FAILED = 0x54;

export interface LogPlace {
  readonly address: bigint;
  readonly entries: number;
  readonly entrySize: number;
}

/** The words of an error, without the valid bit. */
function wordsOf(error: ErrorFields, information: number | undefined): [bigint, bigint, bigint] {
  let word = BigInt(error.code) << 8n;
  if (error.queue !== undefined) word |= 8n | (BigInt(error.queue) << 16n);
  if (error.operation !== undefined) word |= 4n | (BigInt(error.operation) << 32n);
  if (error.write === true) word |= 32n;
  if (information !== undefined) word |= 128n;
  return [word, BigInt(information ?? 0) << 32n, error.address ?? 0n];
}

/** What the guest sees, after each error. */
export class ErrorModel {
  readonly softwareError: [bigint, bigint, bigint, bigint] = [0n, 0n, 0n, 0n];
  control = 0;
  cause = 0;
  /** Of vector 0, so far. */
  interrupts = 0;
  head = 0;
  tail = 0;
  pending = false;
  written = 0;
  lost = 0;
  log: LogPlace | undefined;
  readonly #store: (address: bigint, bytes: Uint8Array) => boolean;

  /** @param store Puts an entry into guest memory; false when none is there. */
  constructor(store: (address: bigint, bytes: Uint8Array) => boolean) {
    this.#store = store;
  }

  open(log: LogPlace): void {
    this.log = log;
    this.head = this.tail = 0;
    this.pending = false;
  }

  get status(): bigint {
    return BigInt(this.head) | (BigInt(this.tail) << 32n) | (this.pending ? 1n << 62n : 0n);
  }

  error(error: ErrorFields): void {
    const { log } = this;
    if (log === undefined) {
      this.#hold(error);
      return;
    }
    if ((this.tail + 1) % log.entries === this.head) {
      this.#lose({ code: APPEND_FAILED });
      return;
    }
    const address = log.address + BigInt(this.tail * log.entrySize);
    const bytes = new Uint8Array(log.entrySize);
    const view = new DataView(bytes.buffer);
    for (const [index, word] of wordsOf(error, error.logged ?? error.information).entries()) {
      view.setBigUint64(8 * index, word, true);
    }
    bytes.set(error.record ?? [], 32);
    if (!this.#store(address, bytes)) {
      this.#lose({ code: APPEND_FAILED, write: true, address });
      return;
    }
    this.tail = (this.tail + 1) % log.entries;
    this.written += 1;
    if ((this.control & EVENT_LOG_INTERRUPT) === 0 || this.pending) return;
    this.pending = true;
    this.cause |= 32;
    this.interrupts += 1;
  }

  #lose(error: ErrorFields): void {
    this.lost += 1;
    this.#hold(error);
  }

  #hold(error: ErrorFields): void {
    if ((this.softwareError[0] & 1n) !== 0n) {
      this.softwareError[0] |= 2n;
      return;
    }
    const [word, information, address] = wordsOf(error, error.information);
    this.softwareError[0] = word | 1n | (this.softwareError[0] & 2n);
    this.softwareError[1] = information;
    this.softwareError[2] = address;
    if ((this.control & SOFTWARE_ERROR_INTERRUPT) === 0) return;
    this.cause |= 1;
    this.interrupts += 1;
  }
}
