import { resolve } from 'node:path';

import type { MdevDevice } from '../mdev/index.ts';
import { HandoverError, type HandoverOffer, type InstanceFacts } from '../vfio-user/index.ts';
import { UsageError } from './usage-error.ts';

/** What went wrong with `--handover`, and for whom. `cause` is what the other side should know. */
export class HandoverFailure extends Error {
  override readonly name = 'HandoverFailure';

  /** @param what what could not be done, with the path. */
  constructor(what: string, cause: unknown) {
    super(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/**
 * Does a part of a takeover.
 * @throws HandoverFailure for whatever it throws.
 */
export async function takingOver<T>(path: string | undefined, part: () => T | Promise<T>): Promise<T> {
  try {
    return await part();
  } catch (error) {
    throw new HandoverFailure(`cannot take over from the server at --handover ${String(path)}`, error);
  }
}

/**
 * The path of `--handover`, if there is one.
 * @throws UsageError when nobody can listen there.
 */
export function handoverPathOf(options: {
  readonly handover?: string;
  readonly socketPath?: string;
}): string | undefined {
  const { handover, socketPath } = options;
  if (handover === '') throw new UsageError('--handover has no path');
  if (handover !== undefined && socketPath !== undefined && resolve(handover) === resolve(socketPath)) {
    throw new UsageError(`--handover and --socket-path are both ${handover}; expected two sockets`);
  }
  return handover;
}

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
