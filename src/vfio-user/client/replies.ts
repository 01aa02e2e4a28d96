import { VfioError } from '../../mdev/index.ts';
import { commandName } from '../protocol/constants.ts';
import { decodeRegionAccess, REGION_ACCESS_SIZE, type RegionAccess } from '../protocol/structures/index.ts';

/** The connection ended before a reply came, or before the request was made. */
export function disconnected(reason: string, command?: number): VfioError {
  const name = command === undefined ? undefined : commandName(command);
  const what = name === undefined ? '' : `${name}: `;
  return new VfioError('ECONNRESET', `${what}the connection ended: ${reason}`, name);
}

/** The data of a region reply, `size` bytes; undefined when it does not answer what was asked. */
export function regionData(asked: RegionAccess, body: Uint8Array, size: number): Uint8Array | undefined {
  const echoed = decodeRegionAccess(body);
  if (echoed?.offset !== asked.offset || echoed.region !== asked.region || echoed.count !== asked.count)
    return undefined;
  const data = body.subarray(REGION_ACCESS_SIZE);
  return data.length === size ? data : undefined;
}
