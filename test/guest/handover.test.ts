import { expect, it } from 'vitest';

import { expectCleanCopies } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { replaceableDevice } from './support/server.ts';

/** Replacements of the server. */
const HANDOVERS = 10;
/** Copies: enough for some seconds more than the replacements take. */
const ITERATIONS = 40_000;

it(`copies without a failure while the server is replaced ${HANDOVERS} times`, async () => {
  const device = replaceableDevice({ type: 'dsa-cfg-v1' });
  let replaced: Promise<void> | undefined;
  let done = 0;
  let doneBefore = 0;
  const guest = await bootGuest({
    devices: [device],
    script: 'handover.sh',
    env: { ITERATIONS },
    onPart: (name) => {
      if (name === 'copying') {
        replaced = (async () => {
          while (done < HANDOVERS) {
            await device.replace();
            done++;
          }
        })();
      }
      if (name === 'dmatest') doneBefore = done;
    },
  });
  await replaced;
  expectCleanCopies(guest, 1, 1, ITERATIONS);
  // All of them while it copied.
  expect(doneBefore).toBe(HANDOVERS);
});
