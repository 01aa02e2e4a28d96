import { guarded } from '../../mdev/base/guarded.ts';
import { checkTimeLimit } from '../../mdev/errors/time-limit.ts';
import { MdevError } from '../../mdev/index.ts';
import { closeFd } from '../../native/binding.ts';
import { coreOf } from '../../native/device-handle.ts';
import { connectSocket, resumeClient, restoreClient } from '../native.ts';
import type { ServeOptions } from '../server/serve-options.ts';
import type { ServedDevice } from '../server/served-device.ts';
import { type RestoredServer, Server } from '../server/server.ts';
import { takeInstance } from './commit.ts';
import { HandoverError } from './handover-error.ts';
import { HandoverPeer } from './handover-peer.ts';
import { receiveImage } from './image-transport.ts';
import { type ImagePart, ReceivedImage } from './image.ts';
import { decodeOffer, encodeBody, HANDOVER_VERSION, HandoverKind, type InstanceFacts, type Offer } from './messages.ts';
import { resumeDevice } from './resume-device.ts';
import { type ReceivedClient, takeClients } from './saved-client.ts';

/** Where a server that hands itself over is. */
export type HandoverAddress =
  /** Where it listens for a successor. */
  | { readonly path: string }
  /** A connected UNIX stream socket to it, which is owned from then on. */
  | { readonly fd: number };

/** How long the server may take to offer, and for each step of what follows, milliseconds. */
const STEP_MS = 10_000;
/** How long it is waited for a server that has handed over to be gone. */
const LEAVE_MS = 2000;

interface RestoredParts {
  readonly listener: number | undefined;
  readonly state: Uint8Array;
  /** What the device has of the holder. */
  readonly client: ImagePart;
  readonly clients: () => readonly ReceivedClient[];
}

/**
 * Asks a running server to hand over what it serves.
 *
 * @returns the offer; undefined when nobody listens at the path, or there is none.
 * @param options `signal` ends the wait for the offer.
 * @throws {@link HandoverError} when somebody listens who does not offer; Error with a `code` (`EACCES`, `ENOTDIR`, …); the reason of the signal.
 */
export async function requestHandover(
  address: HandoverAddress,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<HandoverOffer | undefined> {
  const fd = 'fd' in address ? address.fd : connectIfThere(address.path);
  if (fd === undefined) return undefined;
  const peer = new HandoverPeer(fd);
  const abort = (): void => {
    peer.close();
  };
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    peer.send(HandoverKind.hello, encodeBody({ versions: [HANDOVER_VERSION] }));
    const { body } = await peer.receive([HandoverKind.offer], performance.now() + STEP_MS);
    const offer = decodeOffer(body);
    if (offer === undefined) throw new HandoverError('EINVAL', 'the server offers what is not understood here');
    // It may have come with the offer.
    signal?.throwIfAborted();
    return new HandoverOffer(peer, offer);
  } catch (error) {
    peer.close();
    signal?.throwIfAborted();
    if (error instanceof HandoverError && error.code === 'EIO') {
      throw new HandoverError('EIO', `who listens there is no server that can be replaced: ${error.message}`);
    }
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

function connectIfThere(path: string): number | undefined {
  try {
    return connectSocket(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw error;
  }
}

/** A running server is ready to be replaced. It goes on until {@link HandoverOffer.accept} is done. Made by {@link requestHandover}. */
export class HandoverOffer {
  readonly #peer: HandoverPeer;
  readonly #offer: Offer;

  /** @internal */
  constructor(peer: HandoverPeer, offer: Offer) {
    this.#peer = peer;
    this.#offer = offer;
  }

  /** What the server tells of the instance, such as its UUID: what `Server.handOver` was given. */
  get instance(): InstanceFacts {
    return this.#offer.instance;
  }

  /** The path of its listening socket; undefined when it has not made one. */
  get socketPath(): string | undefined {
    return this.#offer.socketPath;
  }

  /** Whether a client holds the device. */
  get held(): boolean {
    return this.#offer.held;
  }

  /** Declines. The server goes on, and is told why. */
  async refuse(reason: string): Promise<void> {
    await this.#peer.refuse(reason, performance.now() + STEP_MS);
  }

  /**
   * Takes the server's place: its clients, who notice nothing, its listening socket, guest memory, and the device's state.
   *
   * @param device a new instance of the same type with the same attributes, which nobody holds and nobody has used.
   * @param options what holds for clients that come later; those who are there keep what was agreed.
   * @throws {@link HandoverError}, also `EINVAL` for an option out of range; the other server goes on then, and `device` is of no use: close it.
   */
  async accept(device: ServedDevice, options: ServeOptions = {}): Promise<Server> {
    try {
      return await this.#accept(device, options);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await this.refuse(reason);
      if (error instanceof HandoverError) throw error;
      throw new HandoverError(error instanceof MdevError ? 'EINVAL' : 'EIO', reason, { cause: error });
    }
  }

  async #accept(device: ServedDevice, options: ServeOptions): Promise<Server> {
    checkTimeLimit('negotiationTimeout', options.negotiationTimeout);
    const { transfer } = device;
    if (transfer === undefined)
      throw new HandoverError('EINVAL', 'devices of this type cannot move to another process');
    transfer.accepts(Buffer.from(this.#offer.header, 'base64'));
    this.#peer.send(HandoverKind.accept);
    const image = new ReceivedImage(await receiveImage(this.#peer, STEP_MS));
    let server: Server | undefined;
    try {
      const { bytes, fds } = image.take();
      const state = image.take();
      const client = image.take();
      const count = bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0;
      const parts = { listener: fds[0], client, state: state.bytes, clients: () => takeClients(image, count) };
      server = await this.#restore(device, options, parts);
      image.finish();
      this.#peer.send(HandoverKind.ready);
      await takeInstance(this.#peer, performance.now() + STEP_MS);
    } catch (error) {
      image.close();
      server?.abandon();
      throw error;
    }
    // Nobody else serves from here on: whatever fails, the clients get their answers.
    guarded(() => {
      resumeClient(coreOf(device.handle));
    });
    resumeDevice(device);
    server.begin();
    // It leaves its paths when it has let go of everything.
    await this.#peer.ended(performance.now() + LEAVE_MS);
    this.#peer.close();
    return server;
  }

  /** Puts everything in place, and begins nothing. */
  async #restore(
    device: ServedDevice,
    options: ServeOptions,
    { client, clients, listener, state }: RestoredParts,
  ): Promise<Server> {
    const { socketPath } = this.#offer;
    // Until somebody else has them.
    const open = new Set([...client.fds, ...(listener === undefined ? [] : [listener])]);
    let server: Server | undefined;
    try {
      const address = socketPath === undefined ? { fd: listener ?? -1 } : { socketPath };
      const restored: RestoredServer = { listener, clients: clients() };
      if (listener !== undefined) open.delete(listener);
      server = new Server(device, address, options, restored);
      await device.transfer?.suspend();
      device.transfer?.restore(state);
      for (const fd of client.fds) open.delete(fd);
      restoreClient(coreOf(device.handle), client.bytes, client.fds);
      return server;
    } catch (error) {
      server?.abandon();
      for (const fd of open) closeFd(fd);
      throw error;
    }
  }
}
