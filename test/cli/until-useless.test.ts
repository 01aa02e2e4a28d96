import { afterEach, expect, it, vi } from 'vitest';

import { logDevice } from '../../src/cli/event-log.ts';
import { untilUseless } from '../../src/cli/until-useless.ts';
import { acmeDevice, At } from '../mdev/support/acme.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('an instance is of use until it has failed and its client has gone', async () => {
  const lines: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  const device = await acmeDevice(
    () => ({
      hooks: {
        bar0: {
          DOORBELL: {
            afterWrite: () => {
              throw new Error('planted\nfailure');
            },
          },
        },
      },
    }),
    { enforceMemoryDecode: false },
  );
  logDevice(device);
  let useless = false;
  const end = untilUseless(device).then(() => {
    useless = true;
  });

  const session = device.open({ name: 'test' });
  session.sync.writeRegion(0, At.doorbell, Uint8Array.of(1, 0, 0, 0));
  expect(device.state).toBe('failed');
  await new Promise(setImmediate);
  expect(useless).toBe(false);
  session[Symbol.dispose]();
  await end;
  expect(lines).toEqual([
    `mdev: instance ${device.uuid} has failed: bar0.DOORBELL: planted failure; it is of no use any more\n`,
  ]);
  await device.close();
});

it('an instance that has failed before is of no use at once', async () => {
  const device = await acmeDevice((context) => {
    setImmediate(() => {
      context.fail(new Error('planted'));
    });
    return {};
  });
  await new Promise((resolve) => device.once('failed', resolve));
  await untilUseless(device);
  await device.close();
});
