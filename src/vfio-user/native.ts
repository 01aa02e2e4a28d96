/** What the native addon has for this layer: sockets, and the protocol's fast half. */
import { addon, type DeviceCore } from '../native/binding.ts';

/** JavaScript behind a {@link NativeConnection}. What `message`, `refused` or `closed` throws ends this connection, and nothing else. */
export interface ConnectionHandler {
  /**
   * A command that C++ does not serve.
   *
   * @param body what follows the header; a copy.
   * @returns the body of the reply, or an errno, or undefined: `answer` or `refuse` of the connection has been called, or will be. Until then
   * commands behind this one wait; the client's replies do not.
   */
  message(command: number, body: Uint8Array): Uint8Array | number | undefined;
  /** A message was refused; called for the first one of each command. */
  refused(command: number, errno: number): void;
  /** Once, at the end. The client's maps and eventfds are gone. */
  closed(reason: string): void;
  /** What one of the others threw; what this throws is dropped. */
  failed(error: unknown): void;
}

/** What VERSION agreed on, as far as C++ has to keep it. */
export interface Agreement {
  /** The client's max_data_xfer_size, bytes, 1 to 2^32 - 1. */
  readonly maxTransfer: number;
  /** REGION_WRITE_MULTI is legal. */
  readonly writeMultiple: boolean;
}

/** One client of one device. Answers region accesses, DMA maps and interrupts itself. Keeps the event loop alive while it is open. */
export interface NativeConnection {
  /**
   * The version is agreed; from now on the client holds the device.
   *
   * @param twinFd our end of the twin socket (duplicated): what the server asks goes there.
   */
  negotiated(agreement: Agreement, twinFd?: number): void;
  /** Answers the message that `message` returned nothing for, with at most 253 fds (duplicated). Nothing happens without such a message. */
  answer(body: Uint8Array, fds: readonly number[]): void;
  /** The same with an errno. */
  refuse(errno: number): void;
  /**
   * An eventfd each signal of which is a write of `value` (1 to 8 bytes) to a place of a region, as if the client had sent it. It is the
   * connection's, and ends with it. At most 512.
   *
   * @param fd one that another process has made for the same (duplicated), instead of a new one.
   */
  ioEventFd(region: number, offset: number, value: Uint8Array, fd?: number): number;
  /** Does now what has been signalled so far, unless it is held. False when that is so much that some of it, at least, is left. */
  serveIoEventFds(): boolean;
  /** While held, what is signalled waits: the device has stopped. */
  holdIoEventFds(held: boolean): void;
  /** Serves nothing more, and closes when the client has taken what is answered, or after five seconds. */
  finish(reason: string): void;
  /** Closes at once. Repeats do nothing. */
  close(reason: string): void;
  /** True when the client has hung up, even if messages of it are still unread. */
  peerGone(): boolean;
  /** Begins no further command. What has begun comes to its end, and replies to DMA requests are served. */
  suspend(): void;
  /** While suspended: no message is half served, and no answer is owed. */
  settled(): boolean;
  /** No DMA request is outstanding. */
  requestsSettled(): boolean;
  /** What another process needs to go on with the client. Only while settled; then nothing is read, served or sent, and ioeventfds keep their signals. */
  save(): SavedConnection;
  /** Goes on as if nothing had been; one that was restored begins. */
  resume(): void;
  /** Closes without the client's noticing: another process has it. */
  handedOver(): void;
}

/** Bytes for another process, and the file descriptors that they name; these stay their owners', who must not change before they are sent. */
interface HandoverPart {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
}

/** What {@link NativeConnection.save} gives. */
export interface SavedConnection extends HandoverPart {
  /** The socket. */
  readonly fd: number;
  /** Our end of the twin socket, or -1. */
  readonly twinFd: number;
}

/** A connection to be restored, paused until `resume`. Its file descriptors are taken, `twinFd` too. */
export interface RestoredConnection extends HandoverPart {
  readonly twinFd: number;
  /** Undefined for a client that has not negotiated. */
  readonly agreement: Agreement | undefined;
}

/** JavaScript behind a {@link NativeChannel}. */
export interface ChannelHandler {
  /** A whole message, header first; a copy. Whoever gets the fds closes them, with {@link NativeChannel.closeFd}. */
  message(bytes: Uint8Array, fds: readonly number[]): void;
  /** Once, at the end. */
  closed(reason: string): void;
}

/** The client's side of a stream: frames messages without understanding them. Keeps the event loop alive while it is open. */
export interface NativeChannel {
  /** Sends bytes, which need not be a message. `fds` are duplicated; with them, the bytes are sent by a call of their own. */
  send(bytes: Uint8Array, fds: readonly number[]): void;
  /**
   * Sends the answer to a message of the other side's. While more than 2 MiB of answers wait for the socket, nothing is
   * read: the other side has to take some first.
   */
  answer(bytes: Uint8Array): void;
  /**
   * Offers a short message, at most 4,096 bytes, to the socket at once.
   *
   * @returns 0: the other side will find it, whatever happens to this one. EAGAIN: there is no room for it now, or something waits to be sent before.
   * EPIPE or another errno: the other side never hears of it.
   */
  sendNow(bytes: Uint8Array): number;
  /** What the other side sends from now on is refused there. What it has sent is told, and then the end of the stream. */
  endReading(): void;
  /** Bytes that the socket has not taken yet. */
  pending(): number;
  /** While paused nothing is read. */
  setPaused(paused: boolean): void;
  /** Closes a descriptor that `message` brought, without waiting: close(2) may take as long as whoever made it likes. Works on a closed channel, too. */
  closeFd(fd: number): void;
  /** Closes at once. Repeats do nothing. */
  close(reason: string): void;
}

/** JavaScript behind a {@link NativeListener}. */
export interface ListenerHandler {
  /** A client; whoever gets the fd closes it. */
  connection(fd: number): void;
  /** accept failed with an errno's name; the listener has paused itself. */
  failed(code: string): void;
}

/** A listening UNIX socket. Keeps the event loop alive until it is closed. */
export interface NativeListener {
  pause(): void;
  resume(): void;
  /** The socket, which stays the listener's; -1 when it is closed. */
  descriptor(): number;
  /** Another process takes over: the path stays. */
  disown(): void;
  /** Stops listening and removes the socket's path, if it is the listener's. Repeats do nothing. */
  close(): void;
}

/** The addon's exports that this layer uses. */
interface Addon {
  readonly Connection: new (
    device: DeviceCore,
    fd: number,
    handler: ConnectionHandler,
    restored?: RestoredConnection,
  ) => NativeConnection;
  readonly Channel: new (fd: number, handler: ChannelHandler) => NativeChannel;
  readonly Listener: new (where: string | number, handler: ListenerHandler, ownPath?: string) => NativeListener;
  readonly isListening: (fd: number) => boolean;
  readonly peerProcess: (fd: number) => number;
  readonly peerUser: (fd: number) => number;
  readonly saveClient: (device: DeviceCore) => HandoverPart;
  readonly restoreClient: (device: DeviceCore, bytes: Uint8Array, fds: readonly number[]) => void;
  readonly resumeClient: (device: DeviceCore) => void;
  readonly abandonClient: (device: DeviceCore) => void;
  readonly connectSocket: (path: string) => number;
  readonly socketPair: () => [number, number];
}

const { Connection, Channel, Listener, isListening, peerProcess, peerUser, connectSocket, socketPair } = addon as Addon;
const { saveClient, restoreClient, resumeClient, abandonClient } = addon as Addon;

/**
 * Serves a client on a connected socket. The descriptor is taken in every case: when this throws (an Error with a `code`, for anything but a
 * connected socket), it is closed.
 *
 * @param restored what another process has saved of the connection.
 */
export function createConnection(
  device: DeviceCore,
  fd: number,
  handler: ConnectionHandler,
  restored?: RestoredConnection,
): NativeConnection {
  return new Connection(device, fd, handler, restored);
}

/**
 * Opens the client's side on a connected socket. The descriptor is taken in every case: when this throws (an Error with a `code`, for anything but
 * a connected socket), it is closed.
 */
export function createChannel(fd: number, handler: ChannelHandler): NativeChannel {
  return new Channel(fd, handler);
}

/**
 * Listens at a path, or on a socket that listens already (the listener owns it from now on).
 *
 * @param ownPath the path of a socket that listens already, when it is the listener's to remove.
 * @throws Error with a `code`: ENAMETOOLONG, EADDRINUSE, ENOENT, …
 */
export function createListener(where: string | number, handler: ListenerHandler, ownPath?: string): NativeListener {
  return new Listener(where, handler, ownPath);
}

export {
  /** Whether a UNIX stream socket listens, or is connected. Throws an Error with a `code` for any other descriptor. */
  isListening,
  /** The id of the process at the other side of a connected socket, as it was when it connected. */
  peerProcess,
  /** The effective user of that process. */
  peerUser,
  /**
   * What a paused device has of its client: maps, eventfds, dirty pages, the files of regions. Signals of the unmask eventfd wait from then on, until
   * `resumeClient`.
   */
  saveClient,
  /** Takes over what `saveClient` gave, with its descriptors, also when it throws an Error with a `code`. The device has its own state already. */
  restoreClient,
  /** The device goes on with its client. */
  resumeClient,
  /**
   * Another process has the client: the device lets go of all that `saveClient` names. No signal is sent, and nothing that is done to the device reaches
   * the client from then on. Throws an Error with a `code` when memory of a region is still shared.
   */
  abandonClient,
  /** A socket connected to `path`. Throws an Error with a `code`; EAGAIN: the listener has no room for now. */
  connectSocket,
  /** Two sockets connected to each other. */
  socketPair,
};
