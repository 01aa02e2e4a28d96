import { suggest } from '../base/suggestion.ts';
import { MdevError } from '../errors/mdev-error.ts';
import {
  defaultPlatformCapabilities as defaults,
  type PlatformCapabilities,
  type PlatformOverrides,
} from './platform-capabilities.ts';
import { expectedSwitch, type PlatformSwitch, switchText, switchValue, takesValue } from './platform-switch.ts';
import { PLATFORM_SWITCHES } from './platform-switches.ts';

const SWITCHES: ReadonlyMap<string, PlatformSwitch> = new Map(Object.entries(PLATFORM_SWITCHES));
/** Before the names of the limits of DMA, which are an object of their own. */
const DMA = 'dma.';

/**
 * Platform switches as an operator writes them: those and no others.
 * @param input Texts by name of {@link PLATFORM_SWITCHES}.
 * @throws {@link MdevError} `EINVAL` that names the switch, the value and what was expected.
 */
export function parsePlatform(input: Readonly<Record<string, string>>): PlatformOverrides {
  const others: Record<string, unknown> = {};
  const dma: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(input)) {
    const known = switchOf(name);
    const value = switchValue(known, text);
    if (value === undefined) throw unexpected(name, text, known);
    if (name.startsWith(DMA)) dma[name.slice(DMA.length)] = value;
    else others[name] = value;
  }
  return { ...others, ...(Object.keys(dma).length === 0 ? {} : { dma }) };
}

/**
 * Looks whether every value is what its switch takes. What page sizes and windows may be, and which names there are to hide, is looked at where they are applied.
 * @throws {@link MdevError} `EINVAL` that names the switch, the value and what was expected.
 */
export function checkPlatform(platform: PlatformOverrides): void {
  for (const [name, value] of switchesOf(platform)) {
    const known = switchOf(name);
    if (!takesValue(known, value)) throw unexpected(name, value, known);
  }
}

/** What differs where one says it behind another: the last word counts, for each switch and each limit of DMA. */
export function mergePlatforms(first: PlatformOverrides, last: PlatformOverrides): PlatformOverrides {
  const { dma, ...others } = last;
  return { ...first, ...others, ...(dma === undefined ? {} : { dma: { ...first.dma, ...dma } }) };
}

/** The whole platform, which is the default one where nothing else is said. */
export function completePlatform(overrides: PlatformOverrides): PlatformCapabilities {
  return { ...defaults, ...overrides, dma: { ...defaults.dma, ...overrides.dma } };
}

/**
 * What a platform says, by name of the switch, as it is.
 * @throws {@link MdevError} `EINVAL` when `dma` is none.
 */
export function switchesOf({ dma = {}, ...others }: PlatformOverrides): readonly (readonly [string, unknown])[] {
  const limits: unknown = dma;
  if (typeof limits !== 'object' || limits === null) {
    throw new MdevError('EINVAL', `platform: dma is "${String(limits).slice(0, 64)}"; expected limits by name`);
  }
  const limitsByName = Object.entries(limits).map(([name, value]): [string, unknown] => [`${DMA}${name}`, value]);
  return [...Object.entries(others), ...limitsByName];
}

function switchOf(name: string): PlatformSwitch {
  const known = SWITCHES.get(name);
  if (known !== undefined) return known;
  throw new MdevError('EINVAL', `there is no platform switch "${name}"${suggest(name, [...SWITCHES.keys()])}`);
}

function unexpected(name: string, value: unknown, known: PlatformSwitch): MdevError {
  return new MdevError(
    'EINVAL',
    `platform: ${name} is "${switchText(known, value)}"; expected ${expectedSwitch(known)}`,
  );
}
