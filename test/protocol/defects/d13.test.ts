import { constants } from 'node:os';
import { expect, it } from 'vitest';

import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeRegionAccess, joined, longs, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { errorReply } from '../../vfio-user/support/raw-peer.ts';
import { ONES_REGION } from '../../vfio-user/support/test-device.ts';

const { EINVAL } = constants.errno;

function map(address: bigint, size: bigint): Uint8Array {
  return joined(words(32, 3), longs(0n, address, size));
}

it('D13: a region that is read only is not written', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const write = encodeRegionAccess({ offset: 0n, region: ONES_REGION, count: 4 }, new Uint8Array(4));
  expect(await peer.ask({ command: Command.regionWrite }, write)).toEqual(errorReply(Command.regionWrite, EINVAL));
});

it('D13: maps of size 0, and maps that wrap, are refused and are in nobody’s way', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const refused = errorReply(Command.dmaMap, EINVAL);
  expect(await peer.ask({ command: Command.dmaMap }, map(0n, 0n))).toEqual(refused);
  expect(await peer.ask({ command: Command.dmaMap }, map(0xffff_ffff_ffff_f000n, 0x2000n))).toEqual(refused);
  expect((await peer.ask({ command: Command.dmaMap }, map(0n, 4096n)))?.header.errno).toBe(0);
});
