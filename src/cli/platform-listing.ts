import { expectedSwitch, PLATFORM_SWITCHES } from '../mdev/index.ts';

/** `mdev platforms` as text: a line for each switch. */
export function formatPlatformSwitches(): string {
  return Object.entries(PLATFORM_SWITCHES)
    .map(([name, known]) => {
      const value = known.kind === 'names' ? known.default.join(',') || 'none' : String(known.default);
      return `${name}: ${expectedSwitch(known)}, default ${value}: ${known.description}`;
    })
    .join('\n');
}
