import { expect, it } from 'vitest';

import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeRegionAccess } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { LARGE_REGION } from '../../vfio-user/support/test-device.ts';

it.each([192, 256, 512, 1024])('D1: a REGION_WRITE of %i KiB is served, and a REGION_READ too', async (kibibytes) => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const count = kibibytes * 1024;
  const access = { offset: 0n, region: LARGE_REGION, count };
  const wrote = await peer.ask({ command: Command.regionWrite }, encodeRegionAccess(access, new Uint8Array(count)));
  expect(wrote?.header).toMatchObject({ errno: 0, size: 32 });
  const read = await peer.ask({ command: Command.regionRead }, encodeRegionAccess(access));
  expect(read?.header).toMatchObject({ errno: 0, size: 32 + count });
});
