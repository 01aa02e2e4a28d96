import type { MdevDevice, VfioDevice } from '../../../src/mdev/index.ts';
import { connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';

/** The ways to a device. */
export const FACES = ['in this process', 'behind a socket'] as const;

/** Opens an instance one way or the other. Its end is the end of what it stands on, too. */
export async function openFace(face: (typeof FACES)[number], device: MdevDevice): Promise<VfioDevice> {
  if (face === 'in this process') return device.open({ name: 'test VMM' });
  const [near, far] = socketPair();
  // It closes with its only client.
  serve(device, { fd: far });
  return await connect({ fd: near });
}
