import { PLATFORM_SWITCHES } from '../../mdev/index.ts';
import { toJson } from '../json.ts';
import { print } from '../messages.ts';
import { formatPlatformSwitches } from '../platform-listing.ts';

/** Options of `mdev platforms`. */
export interface PlatformsOptions {
  readonly json?: boolean;
}

/** `mdev platforms`. */
export function listPlatformSwitches(options: PlatformsOptions): void {
  print(options.json === true ? toJson(PLATFORM_SWITCHES) : formatPlatformSwitches());
}
