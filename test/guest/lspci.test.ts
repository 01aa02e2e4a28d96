import { expect, it } from 'vitest';

import type { Description } from './support/description.ts';
import { configImage, describeDevice, lspciOf, readOnlyDifferences } from './support/description.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';
import { parseLspci } from './support/lspci.ts';

/** The offsets of the capabilities in the first 256 bytes, ascending. */
function standardCapabilities({ configSpace }: Description): number[] {
  return configSpace.capabilities
    .filter(({ version }) => version === undefined)
    .map(({ offset }) => offset)
    .sort((a, b) => a - b);
}

it.each(['dsa-cfg-v1', 'dsa-1dwq-v1'])('the guest’s lspci agrees with the description of %s', async (type) => {
  const description = await describeDevice({ type });
  const guest = await bootGuest({ devices: [mdevDevice({ type })], script: 'probe.sh' });
  const seen = parseLspci(guest.part('lspci'));

  expect(seen.regions).toEqual(
    description.configSpace.bars.map(({ index, width, prefetchable, size }) => ({ index, width, prefetchable, size })),
  );

  const described = lspciOf(configImage(description));
  expect(seen.capabilities).toEqual(described.capabilities);
  expect(seen.capabilities.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual(
    standardCapabilities(description),
  );
  expect(seen.msix).toEqual(described.msix);
  expect(seen.msix).toBeDefined();
  expect(seen.functionLevelReset).toBe(true);
  expect(described.functionLevelReset).toBe(true);

  const bytes = Buffer.from(guest.part('config').join(''), 'hex');
  expect(bytes).toHaveLength(description.configSpace.size);
  expect(readOnlyDifferences(description, bytes)).toEqual([]);
});
