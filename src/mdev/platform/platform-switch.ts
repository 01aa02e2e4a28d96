import { type Attribute, attributeValue, expectedValues } from '../type/attributes.ts';
import type { DmaLimits } from '../dma/dma-limits.ts';

/** Names, separated by commas in text. Their order says nothing. */
export interface NamesSwitch {
  readonly kind: 'names';
  readonly default: readonly string[];
  readonly description: string;
}

/** Page sizes in bytes, or'ed; decimal or `0x…` in text. */
export interface PageSizesSwitch {
  readonly kind: 'pageSizes';
  readonly default: bigint;
  readonly description: string;
}

/** Ranges of addresses, `FIRST-LAST` each, both included, separated by commas in text. */
export interface WindowsSwitch {
  readonly kind: 'windows';
  readonly default: DmaLimits['windows'];
  readonly description: string;
}

/**
 * Who notices how a switch is set. What a guest sees must not change under it, so both sides of a move have to have it alike. What only a client sees, and what
 * an instance does for its operator, is up to each side.
 */
export type SwitchVisibility =
  | { readonly seenBy: 'client' }
  | {
      readonly seenBy: 'guest';
      /** As text, what a device is of whose stream does not name the switch. Never changes, whatever the default becomes. */
      readonly unnamed: string;
    };

/** What an operator, or a vendor, may set of a platform. */
export type PlatformSwitch = (Attribute | NamesSwitch | PageSizesSwitch | WindowsSwitch) & SwitchVisibility;

const ADDRESS = /^(?:[0-9]{1,20}|0x[0-9a-f]{1,16})$/i;

/** What a switch takes, for messages and help: `true or false`, `1 to 8`. */
export function expectedSwitch(known: PlatformSwitch): string {
  switch (known.kind) {
    case 'names':
      return 'names separated by commas';
    case 'pageSizes':
      return "sizes in bytes, or'ed";
    case 'windows':
      return 'FIRST-LAST separated by commas';
    default:
      return expectedValues(known);
  }
}

/** The value that a text says, or undefined when it is none. */
export function switchValue(known: PlatformSwitch, text: string): unknown {
  switch (known.kind) {
    case 'names':
      return listIn(text, (name) => (name === '' ? undefined : name));
    case 'pageSizes':
      return addressIn(text);
    case 'windows':
      return listIn(text, windowIn);
    default:
      return attributeValue(known, text);
  }
}

/** A value as text, the same for values that mean the same. */
export function switchText(known: PlatformSwitch, value: unknown): string {
  if (!takesValue(known, value)) return String(value).slice(0, 64);
  switch (known.kind) {
    case 'names':
      return (value as NamesSwitch['default']).toSorted().join(',');
    case 'pageSizes':
      return hex(value as bigint);
    case 'windows':
      return (value as WindowsSwitch['default']).map(({ first, last }) => `${hex(first)}-${hex(last)}`).join(',');
    default:
      return String(value);
  }
}

/** Whether a value, which has no text form here, is one of the switch. */
export function takesValue(known: PlatformSwitch, value: unknown): boolean {
  switch (known.kind) {
    case 'names':
      return isListOf(value, (name) => typeof name === 'string');
    case 'pageSizes':
      return typeof value === 'bigint';
    case 'windows':
      return isListOf(value, isWindow);
    default:
      // Texts are what an operator writes; an API takes values.
      return (
        typeof value === typeof known.default && attributeValue(known, value as string | number | boolean) !== undefined
      );
  }
}

function listIn<T>(text: string, memberIn: (text: string) => T | undefined): readonly T[] | undefined {
  if (text === '') return [];
  const members = text.split(',').map((member) => memberIn(member.trim()));
  return members.every((member) => member !== undefined) ? members : undefined;
}

function addressIn(text: string): bigint | undefined {
  return ADDRESS.test(text) ? BigInt(text) : undefined;
}

function windowIn(text: string): DmaLimits['windows'][number] | undefined {
  const [first, last, ...more] = text.split('-').map((address) => addressIn(address.trim()));
  return first === undefined || last === undefined || more.length > 0 ? undefined : { first, last };
}

function isListOf(value: unknown, isMember: (member: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every((member) => isMember(member));
}

function isWindow(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { first, last } = value as Readonly<Record<string, unknown>>;
  return typeof first === 'bigint' && typeof last === 'bigint';
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
