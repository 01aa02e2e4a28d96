import { constants } from 'node:os';

import { coreOf } from '../../native/device-handle.ts';
import { errnoName } from '../../native/errno.ts';
import {
  type ConnectionHandler,
  createConnection,
  type NativeConnection,
  type RestoredConnection,
  type SavedConnection,
} from '../native.ts';
import { Command, commandName } from '../protocol/constants.ts';
import type { Answer } from './answers/device-feature.ts';
import { DeviceMessages } from './answers/device-messages.ts';
import { refusalOf } from './answers/refusal.ts';
import type { SavedIoFds } from './answers/region-io-fds.ts';
import type { ServedDevice } from './served-device.ts';
import {
  type AgreedVersion,
  type ServerFeatures,
  VersionNegotiation,
  type VersionRefusal,
} from './version-negotiation.ts';

const { EIO } = constants.errno;

/** What a connection asks of its server. */
export interface ConnectionOwner {
  /**
   * A client wants to hold the device.
   *
   * @returns true: nobody else does. False: somebody does. Undefined: the holder is about to be gone, ask again after `retry`.
   */
  mayHold(connection: ServedConnection): boolean | undefined;
  /** The client holds the device. */
  holds(connection: ServedConnection): void;
  /** A message of the client was refused, for the first time of its command. */
  refused(connection: ServedConnection, message: string): void;
  /** Something threw while the client was served, which ends the connection. */
  failed(connection: ServedConnection, error: unknown): void;
  closed(connection: ServedConnection, reason: string): void;
}

/** A client that moves to another process. */
export interface SavedClient {
  readonly native: SavedConnection;
  /** Undefined for one that has not negotiated. */
  readonly agreed: AgreedVersion | undefined;
  readonly ioFds: readonly SavedIoFds[];
}

/** A client that came from another process. */
export type RestoredClient = Omit<SavedClient, 'native'> & { readonly native: RestoredConnection };

/** One client, from its first byte on: each message of it that C++ does not answer is answered here, now or later, or refused. */
export class ServedConnection implements ConnectionHandler {
  /** For messages. */
  readonly name: string;
  readonly #owner: ConnectionOwner;
  readonly #native: NativeConnection;
  readonly #negotiation: VersionNegotiation;
  readonly #messages: DeviceMessages;
  /** Why the present message is refused, for the log. */
  #problem = '';
  #isHandedOver = false;

  /**
   * Takes `fd`, a connected socket, in every case. Throws an Error with a `code` when it is none; then it is closed.
   *
   * @param restored one that another process has saved: it holds the device already, and is paused until {@link resume}. Its descriptors are taken.
   */
  constructor(
    device: ServedDevice,
    fd: number,
    name: string,
    owner: ConnectionOwner,
    features: ServerFeatures,
    restored?: RestoredClient,
  ) {
    this.name = name;
    this.#owner = owner;
    this.#native = createConnection(coreOf(device.handle), fd, this, restored?.native);
    this.#negotiation = new VersionNegotiation({
      device,
      native: this.#native,
      name,
      features,
      mayHold: () => owner.mayHold(this),
      holds: () => {
        owner.holds(this);
      },
    });
    this.#messages = new DeviceMessages(device, this.#native);
    if (restored === undefined) return;
    try {
      if (restored.agreed !== undefined) this.#negotiation.restore(restored.agreed);
      this.#messages.regionIoFds.restore(restored.ioFds);
    } catch (error) {
      this.#native.handedOver();
      throw error;
    }
  }

  /** Begins no further command; what has begun comes to its end. */
  suspend(): void {
    this.#native.suspend();
  }

  /** While suspended: nothing is half done. */
  get settled(): boolean {
    return this.#native.settled();
  }

  /** Nothing is asked of the client. */
  get requestsSettled(): boolean {
    return this.#native.requestsSettled();
  }

  /** All that another process needs to go on with this client; only while settled. Nothing is done for the client from then on. */
  save(): SavedClient {
    const native = this.#native.save();
    return { native, agreed: this.#negotiation.agreed, ioFds: this.#messages.regionIoFds.saved() };
  }

  /** Ends {@link suspend} and {@link save}; begins what was restored. */
  resume(): void {
    this.#native.resume();
  }

  /** Whether it has ended because another process goes on with the client. */
  get isHandedOver(): boolean {
    return this.#isHandedOver;
  }

  /** Ends it here without the client's noticing. Its hold on the device stays, until that is abandoned or closed. */
  handedOver(): void {
    this.#isHandedOver = true;
    this.#native.handedOver();
  }

  /** Whether its client holds the device. */
  get isHolder(): boolean {
    return this.#negotiation.isHolder;
  }

  /** True when the client has hung up, even if messages of it are still unread. */
  get peerGone(): boolean {
    return this.#native.peerGone();
  }

  /** Asks again whether the client may hold the device. */
  retry(): void {
    try {
      const errno = this.#concluded(this.#negotiation.retry());
      if (errno !== undefined) this.#native.refuse(errno);
    } catch (error) {
      this.#failed(error);
    }
  }

  close(reason: string): void {
    this.#native.close(reason);
  }

  message(command: number, body: Uint8Array): Answer | undefined {
    this.#problem = '';
    // It refuses by itself. What it throws is a listener's, and no answer: the client holds the device by then.
    if (command === Command.version) return this.#concluded(this.#negotiation.version(body));
    try {
      return this.#answered(this.#messages.answer(command, body, this.#negotiation.limits));
    } catch (error) {
      // A device's refusal is an answer; anything else ends the connection.
      return this.#refusal(error);
    }
  }

  refused(command: number, errno: number): void {
    const why = this.#problem === '' ? '' : `: ${this.#problem}`;
    this.#owner.refused(this, `${commandName(command)} refused with ${errnoName(errno)}${why}`);
  }

  closed(reason: string): void {
    try {
      // What the client has is the successor's: this device is not to touch it any more.
      this.#messages.regionIoFds.end();
      if (!this.#isHandedOver) this.#negotiation.end();
    } finally {
      this.#owner.closed(this, reason);
    }
  }

  failed(error: unknown): void {
    this.#owner.failed(this, error);
  }

  /** A refused VERSION ends the connection. */
  #concluded(refusal: VersionRefusal | undefined): number | undefined {
    if (refusal === undefined) return undefined;
    this.#problem = refusal.problem;
    this.#native.finish(refusal.problem);
    return refusal.errno;
  }

  /** An answer, now or when it is there. */
  #answered(answer: Answer | Promise<Answer> | undefined): Answer | undefined {
    if (answer === undefined || typeof answer === 'number' || answer instanceof Uint8Array) return answer;
    answer
      .then(
        (late) => {
          if (typeof late === 'number') this.#native.refuse(late);
          else this.#native.answer(late, []);
        },
        (error: unknown) => {
          this.#native.refuse(this.#refusal(error));
        },
      )
      .catch((error: unknown) => {
        this.#failed(error);
      });
    return undefined;
  }

  /** The errno that the device refuses a message with; its words are for the log. Anything else is thrown again. */
  #refusal(error: unknown): number {
    const errno = refusalOf(error);
    if (errno === undefined) throw error;
    this.#problem = error instanceof Error ? error.message : '';
    return errno;
  }

  /** Something threw outside of a message: the client is told EIO, and the connection ends, as when a message throws. */
  #failed(error: unknown): void {
    this.#native.refuse(EIO);
    this.#native.finish('the server failed to handle a message');
    try {
      this.failed(error);
    } catch {
      // Dropped: there is nobody else to be told.
    }
  }
}
