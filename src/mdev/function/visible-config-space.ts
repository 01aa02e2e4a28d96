import { type ConfigSpace, DeclarationError, hideCapabilities } from '../../emulation/index.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';

/**
 * What a platform shows of a type's config space.
 * @throws {@link MdevError} `EINVAL` when it hides what is not there.
 */
export function visibleConfigSpace(configSpace: ConfigSpace, platform: PlatformCapabilities): ConfigSpace {
  const { hiddenCapabilities: capabilities, hiddenFields: fields } = platform;
  try {
    return hideCapabilities(configSpace, { capabilities, fields });
  } catch (error) {
    if (error instanceof DeclarationError)
      throw new MdevError('EINVAL', `platform: ${error.message}`, { cause: error });
    throw error;
  }
}
