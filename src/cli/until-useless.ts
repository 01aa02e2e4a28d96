import type { MdevDevice } from '../mdev/index.ts';

/** Resolves when the instance has failed, which nothing mends, and no client holds it any more. */
export async function untilUseless(device: MdevDevice): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = (): void => {
      if (device.state === 'failed' && device.attachment === undefined) resolve();
    };
    device.on('failed', check);
    device.on('detached', check);
    check();
  });
}
