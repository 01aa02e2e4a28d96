import type { AttributeValues } from '../type/attributes.ts';
import { isListedSection, type ListedSection } from './state-section.ts';
import { quoted, refused } from './stream-format.ts';
import { comparePlatforms, type VisiblePlatform } from './visible-platform.ts';

/**
 * What a stream says about the device that it is of. Everything here is compared before anything of the stream is taken, and what is not known is
 * refused: a later release that adds something here changes the format's version, or is understood by none before it.
 */
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
  /** What the framework saves, in the order of the state. */
  readonly sections: readonly ListedSection[];
}

/** Whether a field of a header is what it has to be. */
const FIELDS: Readonly<Record<keyof StreamHeader, (value: unknown) => boolean>> = {
  type: isText,
  id: isCount,
  attributes: (value) => isRecord(value) && Object.values(value).every((one) => isAttribute(one)),
  platform: (value) => isRecord(value) && Object.values(value).every((one) => isText(one)),
  payloadVersion: isCount,
  compatibility: (value) => isText(value) && /^([0-9a-f]{2})*$/.test(value),
  sections: (value) => Array.isArray(value) && value.every((one) => isListedSection(one)),
};

export function encodeHeader(header: StreamHeader): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(header));
}

/** @throws `MdevError` `EINVAL` when it is no header; it names the field. */
export function decodeHeader(bytes: Uint8Array): StreamHeader {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw refused('its header is no JSON', error);
  }
  checkHeader(header);
  return header;
}

function checkHeader(header: unknown): asserts header is StreamHeader {
  if (!isRecord(header)) throw refused('its header is no record');
  for (const name of Object.keys(header)) {
    if (!Object.hasOwn(FIELDS, name)) throw refused(`its header has ${quoted(name)}, which is not known here`);
  }
  for (const [name, takes] of Object.entries(FIELDS)) {
    if (!Object.hasOwn(header, name)) throw refused(`its header has no ${name}`);
    if (!takes(header[name])) throw refused(`its header's ${name} is of another kind`);
  }
}

/**
 * Compares a header with that of the device that is to take the stream, all but sections and what the vendor compares.
 * @param defaults Of the attributes: what those have that a stream of an older release does not name.
 * @throws `MdevError` `EINVAL` that names what differs.
 */
export function compareHeaders(found: StreamHeader, own: StreamHeader, defaults: AttributeValues): void {
  if (found.type !== own.type) throw refused(`it is of type ${quoted(found.type)}, expected ${own.type}`);
  if (found.id !== own.id) throw refused(`it is of device ${hexId(found.id)}, expected ${hexId(own.id)}`);
  for (const [name, value] of Object.entries(found.attributes)) {
    if (Object.hasOwn(own.attributes, name)) continue;
    throw refused(`its attribute ${quoted(name)}, which is ${quoted(String(value))}, is none of ${own.type}`);
  }
  for (const [name, expected] of Object.entries(own.attributes)) {
    const has = Object.hasOwn(found.attributes, name) ? found.attributes[name] : defaults[name];
    if (has === expected) continue;
    throw refused(`its attribute ${quoted(name)} is ${quoted(String(has))}, expected ${String(expected)}`);
  }
  comparePlatforms(found.platform, own.platform);
}

/** The bytes of {@link StreamHeader.compatibility}. */
export function compatibilityOf(header: StreamHeader): Uint8Array {
  return new Uint8Array(Buffer.from(header.compatibility, 'hex'));
}

function hexId(id: number): string {
  const digits = (value: number): string => value.toString(16).padStart(4, '0');
  return `${digits(id & 0xffff)}:${digits(id >>> 16)}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isAttribute(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
