import { constants } from 'node:os';

import { messageOf } from '../../mdev/base/message-of.ts';
import type { Attachment } from '../../mdev/index.ts';
import { closeFd } from '../../native/binding.ts';
import { coreOf } from '../../native/device-handle.ts';
import { type Agreement, type NativeConnection, socketPair } from '../native.ts';
import { MAX_TRANSFER, VERSION_MINOR } from '../protocol/constants.ts';
import {
  answerVersion,
  clientMessageFds,
  clientTransfer,
  DEFAULT_TRANSFER,
  readVersion,
  type ServerCapabilities,
  type Version,
  writeVersion,
} from '../protocol/version.ts';
import { answerWithFds, refusalOf, unlessRefused } from './answers/refusal.ts';
import type { ServedDevice } from './served-device.ts';

const { EBUSY, EINVAL, EIO } = constants.errno;
/** No limit of the client's. */
const ALL = 0xffff_ffff_ffff_ffffn;

/** What the operator lets clients have, as far as they ask for it. */
export type ServerFeatures = Pick<ServerCapabilities, 'writeMultiple' | 'twinSocket'>;

/** What was agreed with a client, as far as answers to it depend on it. */
export interface ClientLimits {
  /** Bytes of data in a message of either side. */
  readonly maxTransfer: number;
  /** File descriptors that the client takes in one message. */
  readonly maxFds: number;
  /** The client speaks the C implementation's dialect, in which MIG_DATA_READ is answered with as much as was asked for. */
  readonly padded: boolean;
}

/** Why VERSION is refused. */
export interface VersionRefusal {
  readonly errno: number;
  readonly problem: string;
}

/** What was said in VERSION. */
export interface AgreedVersion {
  readonly client: Version;
  readonly answer: Version;
}

/** Who negotiates with a client, and about what. */
export interface NegotiationParts {
  readonly device: ServedDevice;
  readonly native: NativeConnection;
  /** The client's, for messages. */
  readonly name: string;
  readonly features: ServerFeatures;
  /** Whether the client may hold the device; undefined: that is known later, {@link VersionNegotiation.retry}. */
  mayHold(): boolean | undefined;
  /** The client holds the device. It has no answer yet. */
  holds(): void;
}

/** What C++ has to keep of it. */
export function agreementOf({ client, answer }: AgreedVersion): Agreement {
  return { maxTransfer: clientTransfer(client), writeMultiple: answer.capabilities.write_multiple ?? false };
}

/** VERSION of one client, and the hold on the device that it brings. */
export class VersionNegotiation {
  readonly #parts: NegotiationParts;
  #hold: Pick<Attachment, 'start' | 'detach'> | undefined;
  /** VERSION that waits until it is known whether the device is free. */
  #asking: Version | undefined;
  #limits: ClientLimits = { maxTransfer: DEFAULT_TRANSFER, maxFds: 0, padded: false };
  #agreed: AgreedVersion | undefined;
  #hasEnded = false;

  constructor(parts: NegotiationParts) {
    this.#parts = parts;
  }

  /** Whether the client holds the device. */
  get isHolder(): boolean {
    return this.#hold !== undefined;
  }

  get limits(): ClientLimits {
    return this.#limits;
  }

  /** Answers VERSION, or does so later, unless it is refused; nothing is held then. What who is told of the hold throws passes through. */
  version(body: Uint8Array): VersionRefusal | undefined {
    const client = readVersion(body);
    return 'problem' in client ? { errno: EINVAL, problem: client.problem } : this.#agree(client);
  }

  /** The same for VERSION that waits, if it does. */
  retry(): VersionRefusal | undefined {
    const asking = this.#asking;
    this.#asking = undefined;
    return asking === undefined ? undefined : this.#agree(asking);
  }

  /** What the holder was told; undefined for any other client. */
  get agreed(): AgreedVersion | undefined {
    return this.#agreed;
  }

  /**
   * Takes hold of the device for a client that has agreed on this with another process.
   * @throws what `attach` throws.
   */
  restore(agreed: AgreedVersion): void {
    this.#takeHold(agreed);
  }

  /** The connection has ended, and the hold with it. */
  end(): void {
    this.#hasEnded = true;
    this.#detach();
  }

  #agree(client: Version): VersionRefusal | undefined {
    const { device, features, native } = this.#parts;
    const mayHold = this.#parts.mayHold();
    if (mayHold === undefined) {
      this.#asking = client;
      return undefined;
    }
    if (!mayHold) return { errno: EBUSY, problem: 'another client holds the device' };
    // Before the client has anything: what is available is what the operator allows.
    const { mappingsAvailable: maxDmaMaps, pageSizes } = coreOf(device.handle).dmaInfo();
    const migration = device.migration !== undefined;
    const answer = answerVersion(client, { ...features, migration, maxDmaMaps, pageSizes });
    if ('problem' in answer) return { errno: EINVAL, problem: answer.problem };
    // Before there is a hold that would have to be taken back.
    const twin: readonly number[] | number =
      answer.capabilities.twin_socket === undefined ? [] : unlessRefused(socketPair);
    if (typeof twin === 'number') return { errno: twin, problem: 'the twin socket cannot be made' };
    const [near, far] = twin;
    try {
      const refusal = this.#begin(client, answer, near);
      if (refusal !== undefined) return refusal;
      // Whoever heard of it may have ended the connection.
      if (this.#hasEnded) return undefined;
      this.#parts.holds();
      // The hold ends with the connection.
      const errno = answerWithFds(native, writeVersion(answer), far === undefined ? [] : [far]);
      if (errno !== undefined) return { errno, problem: 'the twin socket cannot be sent' };
    } finally {
      for (const fd of twin) closeFd(fd);
    }
    return undefined;
  }

  /** Takes hold of the device as agreed. */
  #begin(client: Version, answer: Version, twin: number | undefined): VersionRefusal | undefined {
    try {
      this.#takeHold({ client, answer });
      const errno = unlessRefused(() => {
        this.#parts.native.negotiated(agreementOf({ client, answer }), twin);
      });
      if (errno !== undefined) {
        this.#detach();
        return { errno, problem: 'the twin socket cannot be kept' };
      }
    } catch (error) {
      this.#detach();
      const problem = messageOf(error);
      return { errno: refusalOf(error) ?? EIO, problem };
    }
    if (this.#hasEnded) this.#detach();
    return undefined;
  }

  #takeHold(agreed: AgreedVersion): void {
    const { client, answer } = agreed;
    const { device, name, native } = this.#parts;
    // A client is held to what it was told; what it was not told has the operator's limits.
    const { max_dma_maps: maps, pgsizes } = answer.capabilities;
    this.#hold = device.attach({
      name,
      onRevoked: (reason) => {
        native.close(reason);
      },
    });
    this.#hold.start();
    coreOf(device.handle).setClientDmaLimits(maps === undefined ? ALL : BigInt(maps), BigInt(pgsizes ?? 0));
    this.#limits = {
      maxTransfer: Math.min(clientTransfer(client), MAX_TRANSFER),
      maxFds: clientMessageFds(client),
      padded: client.minor > VERSION_MINOR,
    };
    this.#agreed = agreed;
  }

  #detach(): void {
    const hold = this.#hold;
    this.#hold = undefined;
    this.#agreed = undefined;
    hold?.detach();
  }
}
