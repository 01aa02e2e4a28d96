import type { AttributeValues } from '../type/attributes.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { refused } from './stream-format.ts';

/** The switches of a platform that change what a guest sees, which must not change under it. Texts, to be compared. */
export type VisiblePlatform = Readonly<
  Record<'msixOwner' | 'enforceBusMaster' | 'hiddenCapabilities' | 'hiddenFields', string>
>;

export function visiblePlatform(platform: PlatformCapabilities): VisiblePlatform {
  return {
    msixOwner: platform.msixOwner,
    enforceBusMaster: String(platform.enforceBusMaster),
    hiddenCapabilities: platform.hiddenCapabilities.toSorted().join(','),
    hiddenFields: platform.hiddenFields.toSorted().join(','),
  };
}

/** What a stream says about the device that it is of. Everything here is compared before anything of the stream is taken. */
export interface StreamHeader {
  /** `idxd-dsa-cfg-v1`. */
  readonly type: string;
  /** Vendor id in bits 15:0, device id in bits 31:16. */
  readonly id: number;
  readonly attributes: AttributeValues;
  /** What the platform shows of it to its guest. */
  readonly platform: VisiblePlatform;
  /** Of the vendor's payload. */
  readonly payloadVersion: number;
  /** The vendor's, in hexadecimal digits. */
  readonly compatibility: string;
  /** Names and bytes of what the framework saves, in order. */
  readonly sections: readonly (readonly [name: string, size: number])[];
}

export function encodeHeader(header: StreamHeader): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(header));
}

/** @throws `MdevError` `EINVAL` when it is no header. */
export function decodeHeader(bytes: Uint8Array): StreamHeader {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw refused('its header is no JSON', error);
  }
  if (!isHeader(header)) throw refused('its header lacks something, or has something of another kind');
  return header;
}

/**
 * Compares a header with that of the device that is to take the stream, all but what the vendor compares.
 * @param defaults Of the attributes: what those have that a stream of an older release does not name.
 * @throws `MdevError` `EINVAL` that names what differs.
 */
export function compareHeaders(found: StreamHeader, own: StreamHeader, defaults: AttributeValues): void {
  if (found.type !== own.type) throw refused(`it is of type ${quoted(found.type)}, expected ${own.type}`);
  if (found.id !== own.id) throw refused(`it is of device ${hexId(found.id)}, expected ${hexId(own.id)}`);
  for (const name of new Set([...Object.keys(own.attributes), ...Object.keys(found.attributes)])) {
    const has = Object.hasOwn(found.attributes, name) ? found.attributes[name] : defaults[name];
    const expected = own.attributes[name];
    if (has !== expected) {
      throw refused(`its attribute ${quoted(name)} is ${quoted(String(has))}, expected ${String(expected)}`);
    }
  }
  for (const [name, expected] of Object.entries(own.platform)) {
    const has = found.platform[name as keyof VisiblePlatform];
    if (has !== expected) throw refused(`its platform's ${name} is ${quoted(has)}, expected ${quoted(expected)}`);
  }
  const count = Math.max(found.sections.length, own.sections.length);
  for (let index = 0; index < count; index++) {
    const [has, expected] = [describe(found.sections[index]), describe(own.sections[index])];
    if (has !== expected) throw refused(`its section ${index} is ${has}, expected ${expected}`);
  }
}

/** The bytes of {@link StreamHeader.compatibility}. */
export function compatibilityOf(header: StreamHeader): Uint8Array {
  return new Uint8Array(Buffer.from(header.compatibility, 'hex'));
}

function describe(section: readonly [string, number] | undefined): string {
  return section === undefined ? 'absent' : `${quoted(section[0])} of ${section[1]} bytes`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}

function hexId(id: number): string {
  const digits = (value: number): string => value.toString(16).padStart(4, '0');
  return `${digits(id & 0xffff)}:${digits(id >>> 16)}`;
}

type Unknown<T> = { readonly [K in keyof T]?: unknown };

function isHeader(value: unknown): value is StreamHeader {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { attributes, compatibility, id, payloadVersion, platform, sections, type }: Unknown<StreamHeader> = value;
  return (
    typeof type === 'string' &&
    isCount(id) &&
    isCount(payloadVersion) &&
    typeof compatibility === 'string' &&
    /^([0-9a-f]{2})*$/.test(compatibility) &&
    typeof attributes === 'object' &&
    attributes !== null &&
    Object.values(attributes).every((one) => ['string', 'number', 'boolean'].includes(typeof one)) &&
    typeof platform === 'object' &&
    platform !== null &&
    ['msixOwner', 'enforceBusMaster', 'hiddenCapabilities', 'hiddenFields'].every(
      (name) => typeof (platform as Readonly<Record<string, unknown>>)[name] === 'string',
    ) &&
    Array.isArray(sections) &&
    sections.every(
      (section: unknown) =>
        Array.isArray(section) && section.length === 2 && typeof section[0] === 'string' && isCount(section[1]),
    )
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
