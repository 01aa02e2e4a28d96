import { type Attribute, attributeValue, choice, expectedValues, flag, integer } from '../type/attributes.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { MAX_TIMER_MS } from '../errors/time-limit.ts';
import { defaultPlatformCapabilities as defaults, type PlatformCapabilities } from './platform-capabilities.ts';
import { suggest } from '../base/suggestion.ts';

/** Names, separated by commas in text. */
interface NamesSwitch {
  readonly kind: 'names';
  readonly default: readonly string[];
  readonly description: string;
}

/** What an operator may set of a platform. */
export type PlatformSwitch = Attribute | NamesSwitch;

/**
 * Every switch of {@link PlatformCapabilities} that has a text form, by name: the one table that their values are checked by, wherever they come from.
 * Limits of DMA are `dma.NAME`; page sizes and windows have no text form.
 */
export const PLATFORM_SWITCHES: Readonly<Record<string, PlatformSwitch>> = {
  msixOwner: choice({
    values: ['client', 'device'],
    default: defaults.msixOwner,
    description: 'who honours the masks in the MSI-X table; QEMU does',
  }),
  enforceMemoryDecode: flag({
    default: defaults.enforceMemoryDecode,
    description: 'BARs answer only while COMMAND enables them',
  }),
  subPageBars: flag({ default: defaults.subPageBars, description: 'BARs may be smaller than a page' }),
  rom: choice({
    values: ['shadow', 'map'],
    default: defaults.rom,
    description: 'the expansion ROM is copied at any time, or read through its BAR',
  }),
  snooping: flag({ default: defaults.snooping, description: 'DMA is coherent with processors’ caches' }),
  enforceBusMaster: flag({
    default: defaults.enforceBusMaster,
    description: 'the device reaches guest memory only while COMMAND.busMaster is set',
  }),
  reportErrors: flag({
    default: defaults.reportErrors,
    description: 'an error that freezes the instance signals ERR, on which QEMU stops its guest',
  }),
  answersWithin: integer({
    minimum: 1,
    maximum: MAX_TIMER_MS,
    default: defaults.answersWithin,
    description: 'milliseconds within which a step of a migration is answered; QEMU waits 5000',
  }),
  askUnmapped: flag({
    default: defaults.askUnmapped,
    description: 'a client that maps nothing is asked for each access by message',
  }),
  pasid: choice({
    values: ['in-process', 'hidden', 'shown'],
    default: defaults.pasid,
    description: 'who sees ATS, PASID and PRI, which do nothing over vfio-user; "mdev serve" hides them',
  }),
  'dma.maxMappings': integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    default: defaults.dma.maxMappings,
    description: 'DMA maps at a time',
  }),
  'dma.maxDirtyLogBytes': integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    default: defaults.dma.maxDirtyLogBytes,
    description: 'memory that a log of dirty pages may take, bytes',
  }),
  hiddenCapabilities: {
    kind: 'names',
    default: defaults.hiddenCapabilities,
    description: 'capabilities that the guest does not see, such as ATS',
  },
  hiddenFields: {
    kind: 'names',
    default: defaults.hiddenFields,
    description: 'fields that read zero, such as PCIE.DEVCAP.functionLevelReset',
  },
};

/** What a switch takes, for messages and help: `true or false`, `1 to 8`. */
export function expectedSwitch(known: PlatformSwitch): string {
  return known.kind === 'names' ? 'names separated by commas' : expectedValues(known);
}

/**
 * Platform switches as an operator writes them.
 * @param input Texts by name of {@link PLATFORM_SWITCHES}.
 * @throws {@link MdevError} `EINVAL` that names the switch, the value and what was expected.
 */
export function parsePlatform(input: Readonly<Record<string, string>>): Partial<PlatformCapabilities> {
  const top: Record<string, unknown> = {};
  const dma: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(input)) {
    const known = switchOf(name);
    const value = known.kind === 'names' ? namesIn(text) : attributeValue(known, text);
    if (value === undefined) throw unexpected(name, text, known);
    if (name.startsWith('dma.')) dma[name.slice('dma.'.length)] = value;
    else top[name] = value;
  }
  return { ...top, ...(Object.keys(dma).length === 0 ? {} : { dma: { ...defaults.dma, ...dma } }) };
}

/**
 * Looks whether every value is what its switch takes. Page sizes, windows and hidden names are looked at where they are applied.
 * @throws {@link MdevError} `EINVAL` that names the switch, the value and what was expected.
 */
export function checkPlatform(platform: Partial<PlatformCapabilities>): void {
  const { dma, ...others } = platform;
  const limits = Object.entries(dma ?? {}).map(([name, value]): [string, unknown] => [`dma.${name}`, value]);
  const checked = limits.filter(([name]) => Object.hasOwn(PLATFORM_SWITCHES, name));
  for (const [name, value] of [...Object.entries(others), ...checked]) {
    const known = switchOf(name);
    if (!takes(known, value)) throw unexpected(name, value, known);
  }
}

function switchOf(name: string): PlatformSwitch {
  const known = Object.hasOwn(PLATFORM_SWITCHES, name) ? PLATFORM_SWITCHES[name] : undefined;
  if (known !== undefined) return known;
  throw new MdevError(
    'EINVAL',
    `there is no platform switch "${name}"${suggest(name, Object.keys(PLATFORM_SWITCHES))}`,
  );
}

/** Whether a value, which has no text form here, is one of the switch. */
function takes(known: PlatformSwitch, value: unknown): boolean {
  if (known.kind === 'names') return Array.isArray(value) && value.every((name) => typeof name === 'string');
  if (typeof value !== typeof known.default) return false;
  return attributeValue(known, value as string | number | boolean) !== undefined;
}

function namesIn(text: string): readonly string[] | undefined {
  if (text === '') return [];
  const names = text.split(',').map((name) => name.trim());
  return names.includes('') ? undefined : names;
}

function unexpected(name: string, value: unknown, known: PlatformSwitch): MdevError {
  const shown = String(value).slice(0, 64);
  return new MdevError('EINVAL', `platform: ${name} is "${shown}"; expected ${expectedSwitch(known)}`);
}
