import { resolve } from 'node:path';

import type { MdevDevice } from '../mdev/index.ts';
import { HandoverError, type HandoverOffer, type InstanceFacts } from '../vfio-user/index.ts';

/** What a successor is told of an instance. */
export function instanceFacts(device: MdevDevice): InstanceFacts {
  return { uuid: device.uuid, type: `${device.parent.driverName}-${device.type.id}` };
}

/**
 * Looks whether the command line fits to what is offered: what it does not say is as it was.
 * @returns the instance's UUID.
 * @throws HandoverError `EINVAL` that names the option.
 */
export function checkOffer(
  offer: HandoverOffer,
  own: { readonly socketPath?: string; readonly uuid?: string },
): { readonly uuid?: string } {
  const path = own.socketPath === undefined ? undefined : resolve(own.socketPath);
  if (path !== offer.socketPath) {
    const [has, wanted] = [offer.socketPath, path].map((one) => one ?? 'an inherited socket');
    throw new HandoverError(
      'EINVAL',
      `the running server serves at ${String(has)}, this one is to serve at ${String(wanted)}`,
    );
  }
  const { uuid } = offer.instance;
  if (own.uuid !== undefined && own.uuid !== uuid) {
    throw new HandoverError('EINVAL', `the running server has instance ${String(uuid)}, --uuid is ${own.uuid}`);
  }
  return uuid === undefined ? {} : { uuid };
}
