import type { AttributeValues } from '../attributes.ts';
import { MdevError } from '../mdev-error.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { VfioRegion } from '../vfio.ts';
import { IncomingStream } from './incoming-stream.ts';
import { COMPATIBILITY_MAX, DEFAULT_PAYLOAD_MAX, type MigrationBehaviour } from './migration-behaviour.ts';
import { putSections, sizeOfSections, type StateSection, stateSections, takeSections } from './state-sections.ts';
import { encodeFront, encodeRecord, RecordKind, refused, STREAM } from './stream-format.ts';
import { compareHeaders, compatibilityOf, encodeHeader, type StreamHeader } from './stream-header.ts';

/** Whose state it is. */
export interface StateSubject {
  /** `idxd-dsa-cfg-v1`. */
  readonly type: string;
  readonly attributes: AttributeValues;
  readonly function: MdevFunction;
  readonly behaviour: MigrationBehaviour;
}

/** The state of one instance as a stream: what its declaration says, and the vendor's payload. */
export class DeviceState {
  readonly #subject: StateSubject;
  readonly #sections: readonly StateSection[];

  constructor(subject: StateSubject) {
    this.#subject = subject;
    this.#sections = stateSections(subject.function);
  }

  /** Front and header, with what may go while the device runs if `early`. */
  begin(early: boolean): Uint8Array {
    const { behaviour } = this.#subject;
    const front = encodeFront(encodeHeader(this.#header()));
    if (!early || behaviour.preCopy === undefined) return front;
    const bytes = this.#vendors('preCopy', () => bytesOf(behaviour.preCopy?.()));
    return Buffer.concat([front, encodeRecord(RecordKind.early, bytes)]);
  }

  /** The records behind them. The device has stopped. */
  async save(): Promise<Uint8Array> {
    const saved = (async () => bytesOf(await this.#subject.behaviour.save()))();
    const payload = await saved.catch((error: unknown) => this.#vendors('save', () => thrown(error)));
    const state = takeSections(this.#sections);
    return Buffer.concat([encodeRecord(RecordKind.state, state), encodeRecord(RecordKind.payload, payload)]);
  }

  /** About how many bytes `begin` and `save` give. */
  estimate(): number {
    const { behaviour } = this.#subject;
    const vendors = this.#vendors('estimate', () => Math.max(Math.trunc(behaviour.estimate?.() ?? 0), 0));
    return this.begin(false).length + 2 * STREAM.recordFrontSize + sizeOfSections(this.#sections) + vendors;
  }

  /** A stream of another instance, whose header is compared with this one's when it arrives. */
  receive(): IncomingStream {
    const { behaviour } = this.#subject;
    return new IncomingStream({
      accept: (header) => {
        this.#accept(header);
      },
      stateSize: sizeOfSections(this.#sections),
      payloadMax: behaviour.maximumSize ?? DEFAULT_PAYLOAD_MAX,
    });
  }

  /**
   * Takes over what was received. The device has stopped.
   * @throws `MdevError` `EINVAL` when it is refused; the device is as it was then.
   */
  restore(stream: IncomingStream): void {
    const { early, payload, state } = stream.finish();
    const before = takeSections(this.#sections);
    try {
      putSections(this.#sections, state);
    } catch (error) {
      throw refused(messageOf(error), error);
    }
    try {
      this.#subject.behaviour.restore(payload, early);
    } catch (error) {
      putSections(this.#sections, before);
      throw refused(`its payload is refused: ${messageOf(error)}`, error);
    }
  }

  #accept(header: StreamHeader): void {
    const own = this.#header();
    compareHeaders(header, own);
    const { behaviour } = this.#subject;
    if (behaviour.accepts !== undefined) {
      try {
        behaviour.accepts(header.payloadVersion, compatibilityOf(header));
      } catch (error) {
        throw refused(messageOf(error), error);
      }
    } else if (header.payloadVersion !== own.payloadVersion) {
      throw refused(`its payload has version ${header.payloadVersion}, expected ${own.payloadVersion}`);
    } else if (header.compatibility !== own.compatibility) {
      throw refused('it is of a device of this type that is made otherwise: compatibility differs');
    }
  }

  #header(): StreamHeader {
    const { attributes, behaviour, type } = this.#subject;
    const config = this.#subject.function.registers.get(VfioRegion.config).memory;
    const compatibility = this.#vendors('compatibility', () => {
      const bytes = bytesOf(behaviour.compatibility?.() ?? new Uint8Array(0));
      if (bytes.length <= COMPATIBILITY_MAX) return bytes;
      throw new RangeError(`${bytes.length} bytes, expected at most ${COMPATIBILITY_MAX}`);
    });
    return {
      type,
      id: new DataView(config).getUint32(0, true),
      attributes,
      payloadVersion: behaviour.version,
      compatibility: Buffer.from(compatibility).toString('hex'),
      sections: this.#sections.map(({ name, size }) => [name, size]),
    };
  }

  /** Runs what is a vendor's: what it throws is told as EIO. */
  #vendors<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const message = `type ${this.#subject.type}: migration.${what} failed: ${messageOf(error)}`;
      throw new MdevError('EIO', message, { cause: error });
    }
  }
}

/** @throws TypeError when a vendor gave something else. */
function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('expected a Uint8Array');
  return value;
}

function thrown(error: unknown): never {
  throw error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
