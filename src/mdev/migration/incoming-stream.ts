import { decodeRecords, readFront, RecordKind, refused, STREAM } from './stream-format.ts';
import { decodeHeader, type StreamHeader } from './stream-header.ts';

/** A whole stream behind its header. */
export interface ReceivedState {
  readonly header: StreamHeader;
  /** What the vendor gave while the device ran; empty when it gave nothing. */
  readonly early: Uint8Array;
  /** The sections of the header. */
  readonly state: Uint8Array;
  /** What the vendor gave when the device had stopped. */
  readonly payload: Uint8Array;
}

/** What a device takes. */
export interface StreamLimits {
  /**
   * Looks at the header as soon as it is there. Throws `MdevError` `EINVAL` when the stream cannot be this device's.
   * @returns bytes of all its sections.
   */
  accept(header: StreamHeader): number;
  /** Bytes that the vendor takes, early ones included. */
  readonly payloadMax: number;
}

const RECORDS_MAX = 3;

/** Collects a stream, as far as the device may take it. Nothing is taken until all of it is there. */
export class IncomingStream {
  readonly #limits: StreamLimits;
  #bytes = new Uint8Array(4096);
  #length = 0;
  #header: StreamHeader | undefined;
  /** Bytes of the header's sections. */
  #stateSize = 0;
  /** Where the records begin. */
  #headerEnd = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Bytes received. */
  get length(): number {
    return this.#length;
  }

  /** Whether the header is there, and was accepted. */
  get hasHeader(): boolean {
    return this.#header !== undefined;
  }

  /** @throws `MdevError` `EINVAL` when this cannot become a stream that the device takes. */
  write(data: Uint8Array): void {
    for (let rest = data; rest.length > 0;) {
      const room = this.#most() - this.#length;
      if (room === 0) throw refused(`it has more than the ${this.#length} bytes that this device takes`);
      const part = rest.subarray(0, room);
      this.#append(part);
      rest = rest.subarray(part.length);
      // With the header there is room for more.
      if (this.#header === undefined) this.#readHeader();
    }
  }

  /**
   * The stream taken apart.
   * @throws `MdevError` `EINVAL` when it is not whole, or not what its header says.
   */
  finish(): ReceivedState {
    const header = this.#header;
    if (header === undefined) throw refused(`it ends inside its header, after ${this.#length} bytes`);
    const records = decodeRecords(this.#bytes.subarray(this.#headerEnd, this.#length), RECORDS_MAX);
    const early = records[0]?.kind === RecordKind.early ? records[0].data : undefined;
    const [state, payload, more] = early === undefined ? records : records.slice(1);
    if (state?.kind !== RecordKind.state || payload?.kind !== RecordKind.payload || more !== undefined) {
      throw refused(`its records are of kinds ${records.map(({ kind }) => kind).join(', ')}; expected [1,] 2, 3`);
    }
    if (state.data.length !== this.#stateSize) {
      throw refused(`its state has ${state.data.length} bytes, expected ${this.#stateSize}`);
    }
    const bytes = payload.data.length + (early?.length ?? 0);
    if (bytes > this.#limits.payloadMax) {
      throw refused(`its payload has ${bytes} bytes, expected at most ${this.#limits.payloadMax}`);
    }
    return { header, early: early ?? new Uint8Array(0), state: state.data, payload: payload.data };
  }

  /** Bytes that may be there at present. */
  #most(): number {
    if (this.#header === undefined) return STREAM.frontSize + STREAM.headerMax;
    const { payloadMax } = this.#limits;
    return this.#headerEnd + RECORDS_MAX * STREAM.recordFrontSize + this.#stateSize + payloadMax;
  }

  #readHeader(): void {
    if (this.#length < STREAM.frontSize) return;
    const end = STREAM.frontSize + readFront(this.#bytes.subarray(0, STREAM.frontSize));
    if (this.#length < end) return;
    const header = decodeHeader(this.#bytes.subarray(STREAM.frontSize, end));
    this.#stateSize = this.#limits.accept(header);
    this.#header = header;
    this.#headerEnd = end;
  }

  #append(data: Uint8Array): void {
    const length = this.#length + data.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(data, this.#length);
    this.#length = length;
  }
}
