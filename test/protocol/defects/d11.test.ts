import { constants } from 'node:os';
import { expect, it } from 'vitest';

import { Command, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeMessage, joined, longs, words } from '../../../src/vfio-user/protocol/structures/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { errorReply } from '../../vfio-user/support/raw-peer.ts';

it('D11: a max_data_xfer_size of 0 is refused, and the smallest that is legal ends', async () => {
  await using bench = new Bench();
  const offer = (size: number): Uint8Array =>
    writeVersion({ major: 0, minor: 0, capabilities: { max_data_xfer_size: size } });
  const none = await bench.peer().ask({ command: Command.version }, offer(0));
  expect(none).toEqual(errorReply(Command.version, constants.errno.EINVAL));
  const peer = bench.peer();
  await peer.ask({ command: Command.version }, offer(1));
  await peer.ask({ command: Command.dmaMap }, joined(words(32, 3), longs(0n, 0n, 4096n)));
  const ended = new Promise<number>((resolve) => {
    expect(bench.device.core.dmaTransfer(true, 0n, Uint8Array.of(1, 2, 3), resolve)).toBe(0);
  });
  for (let n = 0; n < 3; ++n) {
    const request = await peer.next();
    expect(request?.body).toEqual(joined(longs(BigInt(n), 1n), Uint8Array.of(n + 1)));
    const { id = 0, command = 0 } = request?.header ?? {};
    peer.send(encodeMessage({ id, command, flags: MessageFlag.reply }, longs(BigInt(n), 1n)));
  }
  expect(await ended).toBe(0);
  expect(peer.received).toEqual([]);
});
