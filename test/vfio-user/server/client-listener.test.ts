import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { expect, it, vi } from 'vitest';

import { closeFd, createDeviceCore } from '../../../src/native/binding.ts';
import { connectSocket } from '../../../src/vfio-user/native.ts';
import { ClientListener } from '../../../src/vfio-user/server/client-listener.ts';
import { until } from '../support/bench.ts';

it('accepts nobody while it is paused, also when it was to rest meanwhile', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdev-listener-'));
  const path = join(folder, 'socket');
  const core = createDeviceCore();
  const behind = vi.spyOn(core, 'isBehindOnClosing').mockReturnValue(true);
  const accepted: number[] = [];
  const owner = { connection: (fd: number) => accepted.push(fd), acceptFailed: () => undefined };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const listener = new ClientListener(core, owner, path);
  try {
    listener.pause();
    listener.restWhenBehind();
    behind.mockReturnValue(false);
    vi.advanceTimersByTime(10_000);
    const client = connectSocket(path);
    for (let turns = 100; turns > 0; turns--) await turn();
    expect(accepted).toEqual([]);
    listener.resume();
    await until(() => accepted.length === 1, 'the client');
    for (const fd of [client, ...accepted]) closeFd(fd);
  } finally {
    vi.useRealTimers();
    listener.close();
    core.close();
    rmSync(folder, { recursive: true });
  }
});
