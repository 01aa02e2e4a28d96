import type { MdevBehaviour } from './behaviour.ts';
import { callSynchronously } from '../base/call-synchronously.ts';

/**
 * Runs a vendor's `create`, which may never settle.
 * @param cancelled Rejects when nobody waits for it any more. A behaviour that comes after that is stopped and closed.
 */
export async function createBehaviour(
  create: () => MdevBehaviour | Promise<MdevBehaviour>,
  cancelled: Promise<never>,
): Promise<MdevBehaviour> {
  let late = false;
  const made = (async () => create())();
  made
    .then(
      async (behaviour) => {
        if (!late) return;
        callSynchronously('stop', () => behaviour.stop?.());
        await behaviour.close?.();
      },
      () => undefined,
    )
    .catch(() => undefined);
  try {
    return await Promise.race([made, cancelled]);
  } catch (error) {
    late = true;
    throw error;
  }
}
