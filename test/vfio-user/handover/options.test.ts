import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { listenForSuccessor, requestHandover } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { openFiles } from '../support/bench.ts';
import { offered, outcome, Relay } from './support.ts';

describe.each(['within', 'prepareWithin'] as const)('a handover whose %s', (name) => {
  it.each([0, -1, NaN, 2 ** 31, Infinity])('is %d ms is refused, and its successor told why', async (value) => {
    await using relay = await Relay.start();
    const message = `${name} is ${value}; expected 1 to 2147483647 milliseconds`;
    const before = openFiles();
    const [near, far] = socketPair();
    // Heard at once: it may be refused before its successor knows.
    const given = expect(relay.server.handOver(near, { [name]: value })).rejects.toMatchObject({
      code: 'EINVAL',
      message,
    });
    await expect(requestHandover({ fd: far })).rejects.toMatchObject({
      code: 'ECANCELED',
      message: expect.stringContaining(message) as string,
    });
    await given;
    const path = join(relay.directory, 'handover.sock');
    expect(() => listenForSuccessor(relay.server, path, { [name]: value })).toThrow(
      expect.objectContaining({ code: 'EINVAL', message }),
    );
    expect(existsSync(path)).toBe(false);
    // Fewer, when what an earlier case has left is collected meanwhile.
    expect(openFiles()).toBeLessThanOrEqual(before);
    await relay.handOver();
  });
});

it.each([0, NaN, 2 ** 31])(
  'a successor whose clients have %d ms to negotiate is refused',
  async (negotiationTimeout) => {
    await using relay = await Relay.start();
    const spare = await relay.spare();
    const [near, far] = socketPair();
    const given = outcome(relay.server.handOver(near));
    const offer = await offered(far);
    await expect(offer.accept(spare.device, { negotiationTimeout })).rejects.toMatchObject({ code: 'EINVAL' });
    expect((await given)?.message).toContain(`negotiationTimeout is ${negotiationTimeout}`);
    await relay.handOver();
  },
);

describe('a server that is closed', () => {
  it('has no successor to wait for', async () => {
    await using relay = await Relay.start();
    const path = join(relay.directory, 'handover.sock');
    await relay.server.close();
    const before = openFiles();
    expect(() => listenForSuccessor(relay.server, path)).toThrow(
      expect.objectContaining({ code: 'EBUSY', message: expect.stringContaining('the server is closed') as string }),
    );
    expect(existsSync(path)).toBe(false);
    expect(openFiles()).toBeLessThanOrEqual(before);
  });

  it('listens for none any more', async () => {
    await using relay = await Relay.start();
    const path = join(relay.directory, 'handover.sock');
    const before = openFiles();
    using listener = listenForSuccessor(relay.server, path);
    await relay.server.close();
    expect(existsSync(path)).toBe(false);
    listener.close();
    expect(openFiles()).toBeLessThan(before);
  });
});
