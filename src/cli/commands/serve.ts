import { resolve } from 'node:path';

import { type MdevDevice, MdevRegistry, parsePlatform, parseUuid, type PlatformOverrides } from '../../mdev/index.ts';
import { type HandoverOffer, requestHandover, serve, type Server } from '../../vfio-user/index.ts';
import { logDevice, logServer } from '../event-log.ts';
import { ExitCode } from '../exit-code.ts';
import { checkOffer, HandoverFailure, handoverPathOf, instanceFacts, takingOver } from '../handover.ts';
import { print, tell } from '../messages.ts';
import { asUsageError, availableParents, selectType, type TypeSelection } from '../parents.ts';
import { readyLine } from '../ready-line.ts';
import type { SetValues } from '../set-option.ts';
import { checkSavable, restoreState, saveState } from '../state-file.ts';
import { checkStateOptions, isSameFile } from '../state-options.ts';
import { Successors } from '../successors.ts';
import { stopSignal, unlessStopped, untilStopped } from '../unless-stopped.ts';
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
  readonly handover?: string;
  readonly saveOnExit?: string;
  readonly restore?: string;
  /** Accept REGION_WRITE_MULTI from clients that offer it. */
  readonly writeMultiple?: boolean;
}

/**
 * `mdev serve`: creates an instance and serves it until SIGTERM or SIGINT, until the only client of a connected `fd` is gone, or until a successor
 * has taken over. With `handover`, it takes over itself from whoever serves there. An instance that has failed is of no use to another client: the
 * command ends when the present one leaves. A signal that comes before it serves ends it, too, with nothing left behind.
 *
 * @throws UsageError, MdevError, HandoverFailure, StateFileFailure, or the listener's Error with a `code`; then nothing is left behind
 */
export async function serveInstance(options: ServeOptions): Promise<ExitCode> {
  const stop = stopSignal();
  const address = addressOf(options);
  const path = handoverPathOf(options);
  const own = uuidOf(options);
  const { attributes, parent, type } = selectType(availableParents(), options);
  await checkStateOptions(options);
  const platform = { ...hiddenPasid(type.platform), ...platformOf(options) };
  const registry = new MdevRegistry();
  registry.register(parent);
  let server: Server | undefined;
  let offer: HandoverOffer | undefined;
  try {
    offer = path === undefined ? undefined : await takingOver(path, () => requestHandover({ path }, { signal: stop }));
    const uuid = await takingOver(path, () => (offer === undefined ? own : checkOffer(offer, { ...options, ...own })));
    const creation = registry.create({ parent: parent.name, type: type.id, attributes, platform, ...uuid });
    const device = await unlessStopped(stop, creation);
    if (options.saveOnExit !== undefined) checkSavable(device);
    logDevice(device);
    const shown = 'socketPath' in address ? { socketPath: resolve(address.socketPath) } : address;
    warnOfPasid(device);
    server = await begin(device, { address, offer, options, stop }, (begun) => {
      logServer(begun);
      if (path === undefined) return;
      const successors = new Successors(begun, path, instanceFacts(device));
      if (offer === undefined) successors.listen();
      else successors.listenSoon();
    });
    print(readyLine(device, shown, options.json === true));
    const ended = await Promise.race([
      untilStopped(stop).then(() => ExitCode.success),
      server.closed.then(() => ExitCode.success),
      untilUseless(device).then(() => ExitCode.failure),
    ]);
    // What a client writes is answered until here, and then is in the state.
    await server.close();
    if (options.saveOnExit !== undefined && !server.isHandedOver) await saveState(device, options.saveOnExit);
    return ended;
  } catch (error) {
    // Whoever is asked to go on should know why.
    const reason = error instanceof HandoverFailure ? error.cause : error;
    await offer?.refuse(reason instanceof Error ? reason.message : String(reason));
    if (stop.aborted && reason === stop.reason) return ExitCode.success;
    throw error;
  } finally {
    await server?.close();
    await registry.close();
  }
}

/** How serving begins. */
interface Beginning {
  readonly address: { readonly fd: number } | { readonly socketPath: string };
  readonly offer: HandoverOffer | undefined;
  readonly options: ServeOptions;
  /** The command is to end. */
  readonly stop: AbortSignal;
}

/**
 * Takes over from who serves already, or begins anew.
 * @param started hears of the server; what it throws ends a server that has no clients yet.
 */
async function begin(
  device: MdevDevice,
  { address, offer, options, stop }: Beginning,
  started: (server: Server) => void,
): Promise<Server> {
  const treatment = { writeMultiple: options.writeMultiple === true };
  if (offer !== undefined) {
    // A takeover that has begun comes to its end, within the time limits of its steps: only then it is clear who serves.
    const server = await takingOver(options.handover, () => offer.accept(device, treatment));
    tell(`instance ${device.uuid} was taken over${offer.held ? ' with its client' : '; no client holds it'}`);
    started(server);
    return server;
  }
  const { restore } = options;
  const removeState =
    restore === undefined
      ? undefined
      : await unlessStopped(stop, restoreState(device, restore, { mayBeMissing: isSameFile(options) }));
  const server = serve(device, address, treatment);
  try {
    started(server);
    // Last: whatever fails before leaves the file to the next attempt.
    await removeState?.();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
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

/** A guest behind vfio-user does not see what does nothing there, unless its operator or the vendor says so. */
function hiddenPasid({ pasid }: PlatformOverrides): PlatformOverrides {
  return pasid === undefined ? { pasid: 'hidden' } : {};
}

function warnOfPasid({ configSpace, platform, uuid }: MdevDevice): void {
  if (platform.pasid !== 'shown' || !configSpace.capabilities.some(({ name }) => name === 'PASID')) return;
  tell(
    `instance ${uuid} shows PASIDs, which vfio-user does not carry: its guest's access by PASID faults, its page requests are refused`,
  );
}

function platformOf({ platform }: ServeOptions): PlatformOverrides {
  try {
    return parsePlatform(platform);
  } catch (error) {
    throw asUsageError(error, 'see "mdev platforms"');
  }
}
