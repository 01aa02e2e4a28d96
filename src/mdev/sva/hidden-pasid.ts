import type { ConfigSpace } from '../../emulation/index.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { SVA_CAPABILITIES } from './sva-declaration.ts';

/** The names of those capabilities that a config space shows. */
function shownIn({ capabilities }: ConfigSpace): readonly string[] {
  return SVA_CAPABILITIES.filter((name) => capabilities.some((capability) => capability.name === name));
}

/** A platform that hides PASIDs hides the capabilities that a type has of them, by name, as it hides others. */
export function withPasidHidden(platform: PlatformCapabilities, configSpace: ConfigSpace): PlatformCapabilities {
  if (platform.pasid !== 'hidden') return platform;
  const hiddenCapabilities = [...new Set([...platform.hiddenCapabilities, ...shownIn(configSpace)])];
  return { ...platform, hiddenCapabilities };
}

/** @throws {@link MdevError} see `MdevDevice.checkServable`. */
export function checkServable(who: string, platform: PlatformCapabilities, configSpace: ConfigSpace): void {
  if (platform.pasid !== 'in-process') return;
  const shown = shownIn(configSpace);
  if (shown.length === 0) return;
  throw new MdevError(
    'EOPNOTSUPP',
    `${who} shows ${shown.join(', ')}, which vfio-user does not carry: create it with the platform switch pasid=hidden, or pasid=shown to show them ` +
      'all the same',
  );
}
