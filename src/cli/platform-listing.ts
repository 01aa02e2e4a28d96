import { expectedSwitch, PLATFORM_SWITCHES, switchText } from '../mdev/index.ts';

/** `mdev platforms` as text: a line for each switch. */
export function formatPlatformSwitches(): string {
  return Object.entries(PLATFORM_SWITCHES)
    .map(([name, known]) => {
      const value = switchText(known, known.default) || 'none';
      const seen = known.seenBy === 'guest' ? '; seen by the guest' : '';
      return `${name}: ${expectedSwitch(known)}, default ${value}: ${known.description}${seen}`;
    })
    .join('\n');
}
