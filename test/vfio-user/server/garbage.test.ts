import { expect, it } from 'vitest';

import { createDeviceCore } from '../../../src/native/binding.ts';
import { createChannel, createConnection, createListener, socketPair } from '../../../src/vfio-user/native.ts';
import { collectGarbage } from '../../native/support/garbage.ts';
import { Bench, settle, until } from '../support/bench.ts';

/** Makes objects whose handlers refer to them, as real ones do, and ends them. */
function makeAndClose(path: string): WeakRef<object>[] {
  const [near, far] = socketPair();
  const core = createDeviceCore();
  const connection = createConnection(core, near, {
    message: () => (connection.peerGone() ? 1 : 2),
    refused: () => undefined,
    closed: () => {
      connection.refuse(1);
    },
    failed: () => undefined,
  });
  const channel = createChannel(far, {
    message: () => undefined,
    closed: () => channel.pending(),
  });
  const listener = createListener(path, {
    connection: () => undefined,
    failed: () => {
      listener.close();
    },
  });
  connection.close('done');
  channel.close('done');
  listener.close();
  return [connection, channel, listener, core].map((object) => new WeakRef(object));
}

it('what was closed can be collected, with everything that its handlers refer to', async () => {
  await using bench = new Bench();
  const made: WeakRef<object>[] = [];
  for (let i = 0; i < 20; ++i) made.push(...makeAndClose(`${bench.directory}/other.sock`));
  await settle();
  await until(() => {
    collectGarbage();
    return made.every((reference) => reference.deref() === undefined);
  }, 'collecting them');
  expect(made).toHaveLength(80);
});

it('what is open stays, although nobody refers to it', async () => {
  await using bench = new Bench();
  const client = await bench.client();
  for (let i = 0; i < 5; ++i) {
    collectGarbage();
    await settle();
  }
  await expect(client.info()).resolves.toBeDefined();
});
