import { expect, it } from 'vitest';

import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, settle } from '../../vfio-user/support/bench.ts';

const info = words(16, 0, 0, 0);

it('D2: a header may arrive in any number of segments', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const message = encodeMessage({ id: 1, command: Command.deviceGetInfo }, info);
  for (let cut = 1; cut < 16; ++cut) {
    peer.send(message.subarray(0, cut));
    await settle(2);
    peer.send(message.subarray(cut));
    expect((await peer.next())?.header).toMatchObject({ id: 1, errno: 0 });
  }
});
