import { expect, it } from 'vitest';

import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench, settle } from '../../vfio-user/support/bench.ts';

it('D12: clients that connect and stay silent, at once or in the middle of VERSION, keep nobody waiting', async () => {
  await using bench = new Bench();
  bench.peer();
  const half = bench.peer();
  half.send(encodeMessage({ id: 1, command: Command.version, size: 100 }));
  await settle();
  const peer = bench.peer();
  await peer.negotiate();
  expect((await peer.ask({ command: Command.deviceGetInfo }, words(16, 0, 0, 0)))?.header.errno).toBe(0);
});
