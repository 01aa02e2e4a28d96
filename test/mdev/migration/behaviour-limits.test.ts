/** What a vendor's migration says of itself is looked at when an instance is made, not when its guest is to be moved. */
import { expect, it } from 'vitest';

import { DeclarationError } from '../../../src/emulation/index.ts';
import { plainMigratable } from '../support/plain-card.ts';

const WRONG = [NaN, Infinity, -1, 1.5, 2 ** 53, '1', null] as readonly unknown[];

it.each(WRONG)('%s is neither version nor size', async (value) => {
  for (const name of ['version', 'maximumSize'] as const) {
    const made = plainMigratable({ [name]: value });
    await expect(made).rejects.toThrow(DeclarationError);
    await expect(made).rejects.toThrow(
      `type plain: migration.${name} is ${String(value)}; expected a whole number from 0 to 2^53 - 1`,
    );
  }
});

it.each([0, Number.MAX_SAFE_INTEGER])('%s is', async (value) => {
  const device = await plainMigratable({ version: value, maximumSize: value });
  expect(device.transfer).toBeDefined();
});
