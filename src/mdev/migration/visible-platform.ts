import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { switchesOf } from '../platform/platform-overrides.ts';
import { switchText } from '../platform/platform-switch.ts';
import { PLATFORM_SWITCHES } from '../platform/platform-switches.ts';
import { quoted, refused } from './stream-format.ts';

/** What a platform shows of a device to its guest: texts by name of the switch, those left out that are as they were before streams named the switch. */
export type VisiblePlatform = Readonly<Record<string, string>>;

/** The switches whose effect a guest sees. */
const VISIBLE_SWITCHES = new Map(
  Object.entries(PLATFORM_SWITCHES).flatMap(([name, known]) =>
    known.seenBy === 'guest' ? [[name, known] as const] : [],
  ),
);

/**
 * @param hasSubPageBars The device declares memory BARs smaller than a page: without, `subPageBars` is nothing that a guest could see.
 */
export function visiblePlatform(platform: PlatformCapabilities, hasSubPageBars: boolean): VisiblePlatform {
  const shown: Record<string, string> = {};
  for (const [name, value] of switchesOf(platform)) {
    const known = VISIBLE_SWITCHES.get(name);
    if (known === undefined || (name === 'subPageBars' && !hasSubPageBars)) continue;
    const text = switchText(known, value);
    if (text !== known.unnamed) shown[name] = text;
  }
  return shown;
}

/** @throws `MdevError` `EINVAL` that names the switch that differs, or that is not known here. */
export function comparePlatforms(found: VisiblePlatform, own: VisiblePlatform): void {
  for (const [name, value] of Object.entries(found)) {
    if (VISIBLE_SWITCHES.has(name)) continue;
    throw refused(`its platform has ${quoted(name)}, which is ${quoted(value)}; there is no such switch here`);
  }
  for (const [name, { unnamed }] of VISIBLE_SWITCHES) {
    const [has = unnamed, expected = unnamed] = [found[name], own[name]];
    if (has !== expected) throw refused(`its platform's ${name} is ${quoted(has)}, expected ${quoted(expected)}`);
  }
}
