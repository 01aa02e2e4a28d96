import { expect, it } from 'vitest';

import { unlessStopped, untilStopped } from '../../src/cli/unless-stopped.ts';

const never = new Promise<never>(() => undefined);

it('work that never ends ends with the signal', async () => {
  const stop = new AbortController();
  const waiting = unlessStopped(stop.signal, never);
  const until = untilStopped(stop.signal);
  const reason = new Error('stopped by SIGTERM');
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await until;
  // One that came before, too.
  await expect(unlessStopped(stop.signal, never)).rejects.toBe(reason);
  await untilStopped(stop.signal);
});

it('work that ends is what it is', async () => {
  const stop = new AbortController();
  await expect(unlessStopped(stop.signal, Promise.resolve(5))).resolves.toBe(5);
  await expect(unlessStopped(stop.signal, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  // Nobody waits for it any more.
  stop.abort();
});
