import { expect, it } from 'vitest';

import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, encodeRegionAccess, joined, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, settle } from '../../vfio-user/support/bench.ts';
import { Offset } from '../../vfio-user/support/test-device.ts';

const info = words(16, 0, 0, 0);

it('D3: a body may arrive in segments, and the stream goes on behind it', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const access = { offset: BigInt(Offset.scratch), region: 0, count: 4096 };
  const data = Uint8Array.from({ length: 4096 }, (_, index) => index * 7);
  const messages = joined(
    encodeMessage({ id: 1, command: Command.regionWrite }, encodeRegionAccess(access, data)),
    encodeMessage({ id: 2, command: Command.deviceGetInfo }, info),
  );
  for (const cut of [17, 31, 32, 33, 1000, messages.length - 33, messages.length - 1]) {
    peer.send(messages.subarray(0, cut));
    await settle(2);
    peer.send(messages.subarray(cut));
    expect((await peer.next())?.header).toMatchObject({ id: 1, errno: 0 });
    expect((await peer.next())?.header).toMatchObject({ id: 2, errno: 0 });
  }
  const read = await peer.ask({ command: Command.regionRead }, encodeRegionAccess(access));
  expect(read?.body.subarray(16)).toEqual(data);
});
