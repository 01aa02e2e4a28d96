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
interface Agreement {
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
   */
  ioEventFd(region: number, offset: number, value: Uint8Array): number;
  /** Serves nothing more, and closes once what is answered was offered to the socket. */
  finish(reason: string): void;
  /** Closes at once. Repeats do nothing. */
  close(reason: string): void;
  /** True when the client has hung up, even if messages of it are still unread. */
  peerGone(): boolean;
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
  /** Stops listening and removes the socket's path, if it is the listener's. Repeats do nothing. */
  close(): void;
}

/** The addon's exports that this layer uses. */
interface Addon {
  readonly Connection: new (device: DeviceCore, fd: number, handler: ConnectionHandler) => NativeConnection;
  readonly Channel: new (fd: number, handler: ChannelHandler) => NativeChannel;
  readonly Listener: new (where: string | number, handler: ListenerHandler) => NativeListener;
  readonly isListening: (fd: number) => boolean;
  readonly peerProcess: (fd: number) => number;
  readonly connectSocket: (path: string) => number;
  readonly socketPair: () => [number, number];
}

const { Connection, Channel, Listener, isListening, peerProcess, connectSocket, socketPair } = addon as Addon;

/**
 * Serves a client on a connected socket. The descriptor is taken in every case: when this throws (an Error with a `code`, for anything but a
 * connected socket), it is closed.
 */
export function createConnection(device: DeviceCore, fd: number, handler: ConnectionHandler): NativeConnection {
  return new Connection(device, fd, handler);
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
 * @throws Error with a `code`: ENAMETOOLONG, EADDRINUSE, ENOENT, …
 */
export function createListener(where: string | number, handler: ListenerHandler): NativeListener {
  return new Listener(where, handler);
}

export {
  /** Whether a UNIX stream socket listens, or is connected. Throws an Error with a `code` for any other descriptor. */
  isListening,
  /** The id of the process at the other side of a connected socket, as it was when it connected. */
  peerProcess,
  /** A socket connected to `path`. Throws an Error with a `code`; EAGAIN: the listener has no room for now. */
  connectSocket,
  /** Two sockets connected to each other. */
  socketPair,
};
