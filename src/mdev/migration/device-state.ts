import { messageOf } from '../base/message-of.ts';
import type { AttributeValues } from '../type/attributes.ts';
import { AsynchronousError, callSynchronously } from '../base/call-synchronously.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { VfioRegion } from '../vfio/vfio.ts';
import { FrozenSection, type FrozenSubject } from './frozen-section.ts';
import { IncomingStream } from './incoming-stream.ts';
import { COMPATIBILITY_MAX, DEFAULT_PAYLOAD_MAX, type MigrationBehaviour } from './migration-behaviour.ts';
import {
  compareSections,
  listSections,
  putSections,
  sizeOfSections,
  type StateSection,
  takeSections,
} from './state-section.ts';
import { stateSections } from './state-sections.ts';
import { encodeFront, encodeRecord, RecordKind, refused, STREAM } from './stream-format.ts';
import { compareHeaders, compatibilityOf, encodeHeader, type StreamHeader } from './stream-header.ts';
import { visiblePlatform } from './visible-platform.ts';

const NOTHING = new Uint8Array(0);
/** Most bytes that an estimate counts for. */
const ESTIMATE_MAX = 2 ** 52;

/** Whose state it is. */
export interface StateSubject {
  /** `idxd-dsa-cfg-v1`. */
  readonly type: string;
  readonly attributes: AttributeValues;
  /** What its attributes have that nobody set. */
  readonly attributeDefaults: AttributeValues;
  readonly function: MdevFunction;
  readonly behaviour: MigrationBehaviour;
  readonly frozen: FrozenSubject;
  /** Its behaviour did what leaves it in no known state. */
  fail(path: string, error: unknown): void;
}

/** The state of one instance as a stream: what its declaration says, and the vendor's payload. */
export class DeviceState {
  readonly #subject: StateSubject;
  readonly #sections: readonly StateSection[];
  readonly #frozen: FrozenSection;
  /** Bytes of the payload that have gone while the device ran. */
  #earlyLength = 0;

  constructor(subject: StateSubject) {
    this.#subject = subject;
    this.#frozen = new FrozenSection(subject.frozen);
    this.#sections = [...stateSections(subject.function), this.#frozen];
  }

  /** Front and header, with what may go while the device runs if `early`. */
  begin(early: boolean): Uint8Array {
    const { behaviour } = this.#subject;
    const front = encodeFront(encodeHeader(this.#header()));
    this.#earlyLength = 0;
    if (!early || behaviour.preCopy === undefined) return front;
    const bytes = this.#vendors(
      'preCopy',
      () => behaviour.preCopy?.(),
      (value) => this.#fitting(bytesOf(value)),
    );
    this.#earlyLength = bytes.length;
    return Buffer.concat([front, encodeRecord(RecordKind.early, bytes)]);
  }

  /** The records behind them. The device has stopped. */
  async save(): Promise<Uint8Array> {
    const saved = (async () => this.#fitting(bytesOf(await this.#subject.behaviour.save())))();
    const payload = await saved.catch((error: unknown) => {
      throw this.#failed('save', error);
    });
    const state = takeSections(this.#sections);
    return Buffer.concat([encodeRecord(RecordKind.state, state), encodeRecord(RecordKind.payload, payload)]);
  }

  /** About how many bytes `begin` and `save` give. */
  estimate(): number {
    const { behaviour } = this.#subject;
    const front = encodeFront(encodeHeader(this.#header()));
    const vendors = this.#vendors('estimate', () => behaviour.estimate?.() ?? 0, estimateOf);
    return front.length + 2 * STREAM.recordFrontSize + sizeOfSections(this.#sections) + vendors;
  }

  /** A stream of another instance, whose header is compared with this one's when it arrives. */
  receive(): IncomingStream {
    return new IncomingStream({
      accept: (header) => this.#accept(header),
      payloadMax: this.#payloadMax,
    });
  }

  /**
   * Takes over what was received. The device has stopped.
   * @throws `MdevError` `EINVAL` when it is refused; the device is as it was then.
   */
  restore(stream: IncomingStream): void {
    const { early, header, payload, state } = stream.finish();
    const before = takeSections(this.#sections);
    try {
      putSections(this.#sections, state, header.sections);
    } catch (error) {
      throw refused(messageOf(error), error);
    }
    const { behaviour } = this.#subject;
    try {
      for (const [, region] of this.#subject.function.registers.all()) region.releaseLocks();
      callSynchronously('restore', behaviour.restore.bind(behaviour, payload, early, header.payloadVersion));
    } catch (error) {
      putSections(this.#sections, before);
      if (error instanceof AsynchronousError) {
        // What it still does happens to whatever this instance is by then.
        this.#subject.fail('migration.restore', error);
        throw this.#failed('restore', error);
      }
      throw refused(`its payload is refused: ${messageOf(error)}`, error);
    }
    this.#takeLocks();
    this.#frozen.apply();
  }

  /** Behind the vendor's part, which cannot be undone. */
  #takeLocks(): void {
    const { behaviour } = this.#subject;
    try {
      callSynchronously('takeLocks', () => behaviour.takeLocks?.());
    } catch (error) {
      this.#subject.fail('migration.takeLocks', error);
      throw this.#failed('takeLocks', error);
    }
  }

  /** @returns bytes of all its sections. */
  #accept(header: StreamHeader): number {
    const own = this.#header();
    compareHeaders(header, own, this.#subject.attributeDefaults);
    const size = compareSections(header.sections, this.#sections);
    const { behaviour } = this.#subject;
    if (behaviour.accepts !== undefined) {
      try {
        callSynchronously('accepts', () => behaviour.accepts?.(header.payloadVersion, compatibilityOf(header)));
      } catch (error) {
        if (error instanceof AsynchronousError) throw this.#failed('accepts', error);
        throw refused(messageOf(error), error);
      }
    } else if (header.payloadVersion !== own.payloadVersion) {
      throw refused(`its payload has version ${header.payloadVersion}, expected ${own.payloadVersion}`);
    } else if (header.compatibility !== own.compatibility) {
      throw refused('it is of a device of this type that is made otherwise: compatibility differs');
    }
    return size;
  }

  #header(): StreamHeader {
    const { attributes, behaviour, function: mdevFunction, type } = this.#subject;
    const config = mdevFunction.registers.get(VfioRegion.config).memory;
    const compatibility = this.#vendors(
      'compatibility',
      () => behaviour.compatibility?.() ?? NOTHING,
      compatibilityBytes,
    );
    return {
      type,
      id: new DataView(config).getUint32(0, true),
      attributes,
      platform: visiblePlatform(mdevFunction.platform, mdevFunction.hasSubPageBars),
      payloadVersion: behaviour.version,
      compatibility: Buffer.from(compatibility).toString('hex'),
      sections: listSections(this.#sections),
    };
  }

  get #payloadMax(): number {
    return this.#subject.behaviour.maximumSize ?? DEFAULT_PAYLOAD_MAX;
  }

  /** @throws RangeError when another instance of this type would not take so many bytes. */
  #fitting(bytes: Uint8Array): Uint8Array {
    const length = this.#earlyLength + bytes.length;
    if (length <= this.#payloadMax) return bytes;
    throw new RangeError(`${length} bytes, expected at most maximumSize, ${this.#payloadMax}`);
  }

  /** Calls what is a vendor's, which must be done when it returns, and checks what it gave. What goes wrong is told as EIO. */
  #vendors<T>(what: string, call: () => unknown, checked: (value: unknown) => T): T {
    try {
      return checked(callSynchronously(what, call));
    } catch (error) {
      throw this.#failed(what, error);
    }
  }

  #failed(what: string, error: unknown): MdevError {
    const message = `type ${this.#subject.type}: migration.${what} failed: ${messageOf(error)}`;
    return new MdevError('EIO', message, { cause: error });
  }
}

/** @throws TypeError when a vendor gave something else. */
function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('expected a Uint8Array');
  return value;
}

/** @throws RangeError when they are too many; TypeError as {@link bytesOf}. */
function compatibilityBytes(value: unknown): Uint8Array {
  const bytes = bytesOf(value);
  if (bytes.length <= COMPATIBILITY_MAX) return bytes;
  throw new RangeError(`${bytes.length} bytes, expected at most ${COMPATIBILITY_MAX}`);
}

/** A number of bytes that can be added to others. @throws TypeError when it is no number. */
function estimateOf(value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value)) throw new TypeError(`${String(value)}, expected a number`);
  return Math.min(Math.max(Math.trunc(value), 0), ESTIMATE_MAX);
}
