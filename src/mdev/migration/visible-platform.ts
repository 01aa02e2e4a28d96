import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { quoted, refused } from './stream-format.ts';

/** A switch of a platform that changes what a guest sees, which must not change under it. */
interface VisibleSwitch {
  /** What a platform has, as text. */
  readonly of: (platform: PlatformCapabilities) => string;
  /** What every device was before there was the switch. Never changes, whatever the switch's default becomes. */
  readonly unnamed: string;
}

const VISIBLE_SWITCHES: Readonly<Record<string, VisibleSwitch>> = {
  msixOwner: { of: ({ msixOwner }) => msixOwner, unnamed: 'client' },
  enforceBusMaster: { of: ({ enforceBusMaster }) => String(enforceBusMaster), unnamed: 'true' },
  hiddenCapabilities: { of: ({ hiddenCapabilities }) => hiddenCapabilities.toSorted().join(','), unnamed: '' },
  hiddenFields: { of: ({ hiddenFields }) => hiddenFields.toSorted().join(','), unnamed: '' },
};

/** What a platform shows of a device to its guest: texts by name, those left out that are as they were before there was the switch. */
export type VisiblePlatform = Readonly<Record<string, string>>;

export function visiblePlatform(platform: PlatformCapabilities): VisiblePlatform {
  const shown: Record<string, string> = {};
  for (const [name, { of, unnamed }] of Object.entries(VISIBLE_SWITCHES)) {
    const value = of(platform);
    if (value !== unnamed) shown[name] = value;
  }
  return shown;
}

/** @throws `MdevError` `EINVAL` that names the switch that differs, or that is not known here. */
export function comparePlatforms(found: VisiblePlatform, own: VisiblePlatform): void {
  for (const [name, value] of Object.entries(found)) {
    if (Object.hasOwn(VISIBLE_SWITCHES, name)) continue;
    throw refused(`its platform has ${quoted(name)}, which is ${quoted(value)}; there is no such switch here`);
  }
  for (const [name, { unnamed }] of Object.entries(VISIBLE_SWITCHES)) {
    const [has = unnamed, expected = unnamed] = [found[name], own[name]];
    if (has !== expected) throw refused(`its platform's ${name} is ${quoted(has)}, expected ${quoted(expected)}`);
  }
}
