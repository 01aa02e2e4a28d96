/** The messages that carry the stream of a migration. */
import { constants } from 'node:os';

import { type Migration, MigrationState } from '../../../mdev/index.ts';
import { decodeMigrationData, encodeMigrationData, MIGRATION_DATA_SIZE } from '../../protocol/structures/index.ts';
import type { Answer } from './device-feature.ts';

const { EINVAL } = constants.errno;
const SAVING: readonly number[] = [MigrationState.preCopy, MigrationState.preCopyP2p, MigrationState.stopCopy];

/**
 * Answers MIG_DATA_READ. EINVAL: the device is not saving, or the size is not what the message and the client may carry.
 *
 * @param maxTransfer bytes of data that one message may carry.
 * @param padded the reply is as long as the client asked for, whatever there is: what the C implementation's clients expect.
 */
export function readMigrationData(
  migration: Migration | undefined,
  body: Uint8Array,
  maxTransfer: number,
  padded: boolean,
): Answer | Promise<Answer> {
  const request = decodeMigrationData(body);
  if (migration === undefined || request === undefined || !SAVING.includes(migration.state)) return EINVAL;
  const { argsz, size } = request;
  if (size > maxTransfer || argsz < MIGRATION_DATA_SIZE + size) return EINVAL;
  const reply = (data: Uint8Array): Answer => {
    if (data.length > size) throw new RangeError(`${data.length} bytes of migration data; expected at most ${size}`);
    return encodeMigrationData(data, padded ? size : data.length);
  };
  if (size === 0) return reply(new Uint8Array(0));
  const data = migration.read(size);
  return data instanceof Uint8Array ? reply(data) : data.then(reply);
}

/** Answers MIG_DATA_WRITE. EINVAL: the device is not resuming, or the size is not that of the data, or more than `maxTransfer`. */
export function writeMigrationData(
  migration: Migration | undefined,
  body: Uint8Array,
  maxTransfer: number,
): Answer | Promise<Answer> {
  const request = decodeMigrationData(body);
  if (migration === undefined || request === undefined || migration.state !== MigrationState.resuming) return EINVAL;
  const data = body.subarray(MIGRATION_DATA_SIZE);
  if (request.size !== data.length || request.size > maxTransfer || request.argsz < body.length) return EINVAL;
  const nothing = new Uint8Array(0);
  const taken = migration.write(data);
  return taken === undefined ? nothing : taken.then(() => nothing);
}
