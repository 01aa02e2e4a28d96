import { resolve } from 'node:path';

import { MdevRegistry, parsePlatform, parseUuid, type PlatformCapabilities } from '../../mdev/index.ts';
import { serve, type Server } from '../../vfio-user/index.ts';
import { logDevice, logServer } from '../event-log.ts';
import { ExitCode } from '../exit-code.ts';
import { print } from '../messages.ts';
import { asUsageError, availableParents, selectType, type TypeSelection } from '../parents.ts';
import { readyLine } from '../ready-line.ts';
import type { SetValues } from '../set-option.ts';
import { catchStopSignals } from '../stop-signals.ts';
import { untilUseless } from '../until-useless.ts';
import { UsageError } from '../usage-error.ts';

/** Options of `mdev serve`. */
export interface ServeOptions extends TypeSelection {
  readonly socketPath?: string;
  readonly fd?: number;
  readonly uuid?: string;
  readonly json?: boolean;
  /** Platform switches. */
  readonly platform: SetValues;
}

/**
 * `mdev serve`: creates an instance and serves it until SIGTERM or SIGINT, or until the only client of a connected `fd` is gone. An instance that
 * has failed is of no use to another client: the command ends when the present one leaves.
 *
 * @throws UsageError, MdevError, or the listener's Error with a `code`; then nothing is left behind
 */
export async function serveInstance(options: ServeOptions): Promise<ExitCode> {
  const stopped = catchStopSignals();
  const address = addressOf(options);
  const uuid = uuidOf(options);
  const { attributes, parent, type } = selectType(availableParents(), options);
  const platform = platformOf(options);
  const registry = new MdevRegistry();
  registry.register(parent);
  let server: Server | undefined;
  try {
    const device = await registry.create({ parent: parent.name, type: type.id, attributes, platform, ...uuid });
    logDevice(device);
    server = serve(device, address);
    logServer(server);
    const shown = 'socketPath' in address ? { socketPath: resolve(address.socketPath) } : address;
    print(readyLine(device, shown, options.json === true));
    return await Promise.race([
      stopped.then(() => ExitCode.success),
      server.closed.then(() => ExitCode.success),
      untilUseless(device).then(() => ExitCode.failure),
    ]);
  } finally {
    await server?.close();
    await registry.close();
  }
}

function addressOf({ fd, socketPath }: ServeOptions): { readonly fd: number } | { readonly socketPath: string } {
  if (fd !== undefined && socketPath === undefined) return { fd };
  if (fd === undefined && socketPath !== undefined && socketPath !== '') return { socketPath };
  throw new UsageError('one of --socket-path PATH and --fd N is needed, and not both');
}

/** The UUID in its canonical form, if the operator gave one. */
function uuidOf({ uuid }: ServeOptions): { readonly uuid?: string } {
  if (uuid === undefined) return {};
  try {
    return { uuid: parseUuid(uuid) };
  } catch (error) {
    throw asUsageError(error);
  }
}

function platformOf({ platform }: ServeOptions): Partial<PlatformCapabilities> {
  try {
    return parsePlatform(platform);
  } catch (error) {
    throw asUsageError(error, 'see "mdev platforms"');
  }
}
