import { constants } from 'node:os';

import { closeFd } from '../native/binding.ts';
import { coreOf } from '../native/device-handle.ts';
import { dmaLoggingFeatures } from '../mdev/dma-logging-features.ts';
import { errnoName } from '../native/errno.ts';
import { type Answer, answerDeviceFeature, type Feature } from './device-features.ts';
import { migrationFeatures } from '../mdev/migration/features.ts';
import { readMigrationData, writeMigrationData } from './migration-messages.ts';
import { type ConnectionHandler, createConnection, type NativeConnection, socketPair } from './native.ts';
import { Command, commandName, DeviceFlag, MAX_TRANSFER, VERSION_MINOR } from './protocol.ts';
import { answerRegionInfo, regionCount } from './region-info-messages.ts';
import { answerWithFds, refusalOf, unlessRefused } from './refusal.ts';
import { RegionIoFdsMessages } from './region-io-fds.ts';
import type { DeviceHold, ServedDevice } from './served-device.ts';
import {
  decodeDeviceInfo,
  decodeIrqInfo,
  DEVICE_INFO_SIZE,
  encodeDeviceInfo,
  encodeIrqInfo,
  IRQ_INFO_SIZE,
} from './structures/index.ts';
import {
  answerVersion,
  clientMessageFds,
  clientTransfer,
  DEFAULT_TRANSFER,
  readVersion,
  type ServerCapabilities,
  type Version,
  writeVersion,
} from './version.ts';

const { EBUSY, EINVAL, EIO } = constants.errno;

/** VFIO_PCI_NUM_IRQS. */
const IRQS = 5;
const ALL = 0xffff_ffff_ffff_ffffn;
/** SCM_MAX_FD of Linux. */
const FDS_PER_MESSAGE = 253;

/** What the operator lets clients have, as far as they ask for it. */
export type ServerFeatures = Pick<ServerCapabilities, 'writeMultiple' | 'twinSocket'>;

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

/** One client, from its first byte on: negotiates the version, holds the device, and answers what C++ does not. */
export class ServedConnection implements ConnectionHandler {
  /** For messages. */
  readonly name: string;
  readonly #device: ServedDevice;
  readonly #owner: ConnectionOwner;
  readonly #native: NativeConnection;
  readonly #regionIoFds: RegionIoFdsMessages;
  readonly #features: ServerFeatures;
  #hold: DeviceHold | undefined;
  /** VERSION that waits until it is known whether the device is free. */
  #asking: Version | undefined;
  /** Bytes of data in a message of either side. */
  #maxTransfer = DEFAULT_TRANSFER;
  /** File descriptors that the client takes in one message. */
  #maxFds = 0;
  /** The client speaks the C implementation's dialect, in which MIG_DATA_READ is answered with as much as was asked for. */
  #padded = false;
  #isClosed = false;
  /** Why the present message is refused, for the log. */
  #problem = '';

  /** Takes `fd`, a connected socket, in every case. Throws an Error with a `code` when it is none; then it is closed. */
  constructor(device: ServedDevice, fd: number, name: string, owner: ConnectionOwner, features: ServerFeatures) {
    this.name = name;
    this.#features = features;
    this.#device = device;
    this.#owner = owner;
    this.#native = createConnection(coreOf(device.handle), fd, this);
    this.#regionIoFds = new RegionIoFdsMessages(device, this.#native);
  }

  /** Whether its client holds the device. */
  get isHolder(): boolean {
    return this.#hold !== undefined;
  }

  /** True when the client has hung up, even if messages of it are still unread. */
  get peerGone(): boolean {
    return this.#native.peerGone();
  }

  /** Asks again whether the client may hold the device. */
  retry(): void {
    const asking = this.#asking;
    this.#asking = undefined;
    if (asking === undefined) return;
    try {
      const errno = this.#agree(asking);
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
    if (command === Command.version) return this.#version(body);
    try {
      return this.#message(command, body);
    } catch (error) {
      // A device's refusal is an answer; anything else ends the connection.
      const errno = refusalOf(error);
      if (errno === undefined) throw error;
      this.#problem = error instanceof Error ? error.message : '';
      return errno;
    }
  }

  #message(command: number, body: Uint8Array): Answer | undefined {
    switch (command) {
      case Command.deviceGetInfo:
        return this.#deviceInfo(body);
      case Command.deviceGetRegionInfo:
        return this.#regionInfo(body);
      case Command.deviceGetRegionIoFds:
        return this.#regionIoFds.answer(body, Math.min(this.#maxFds, FDS_PER_MESSAGE));
      case Command.deviceGetIrqInfo:
        return this.#irqInfo(body);
      case Command.deviceReset:
        return this.#reset();
      case Command.deviceFeature:
        return this.#answered(answerDeviceFeature(this.#deviceFeatures(), body));
      case Command.migrationDataRead:
        return this.#answered(readMigrationData(this.#device.migration, body, this.#maxTransfer, this.#padded));
      case Command.migrationDataWrite:
        return this.#answered(writeMigrationData(this.#device.migration, body, this.#maxTransfer));
      default:
        return EINVAL;
    }
  }

  refused(command: number, errno: number): void {
    const why = this.#problem === '' ? '' : `: ${this.#problem}`;
    this.#owner.refused(this, `${commandName(command)} refused with ${errnoName(errno)}${why}`);
  }

  closed(reason: string): void {
    this.#isClosed = true;
    try {
      this.#detach();
    } finally {
      this.#owner.closed(this, reason);
    }
  }

  failed(error: unknown): void {
    this.#owner.failed(this, error);
  }

  /** An answer, now or when it is there. */
  #answered(answer: Answer | Promise<Answer>): Answer | undefined {
    if (typeof answer === 'number' || answer instanceof Uint8Array) return answer;
    answer
      .then(
        (late) => {
          if (typeof late === 'number') this.#native.refuse(late);
          else this.#native.answer(late, []);
        },
        (error: unknown) => {
          const errno = refusalOf(error);
          if (errno === undefined) throw error;
          this.#refuseBecause(errno, error);
        },
      )
      .catch((error: unknown) => {
        this.#failed(error);
      });
    return undefined;
  }

  /** Refuses what waits for an answer, and says why. */
  #refuseBecause(errno: number, error: unknown): void {
    this.#problem = error instanceof Error ? error.message : '';
    this.#native.refuse(errno);
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

  #deviceFeatures(): ReadonlyMap<number, Feature> {
    const { migration, handle } = this.#device;
    return new Map([
      ...dmaLoggingFeatures(coreOf(handle)),
      ...(migration === undefined ? [] : migrationFeatures(migration)),
    ]);
  }

  #detach(): void {
    const hold = this.#hold;
    this.#hold = undefined;
    hold?.detach();
  }

  /** Refuses VERSION, which ends the connection. */
  #refuse(errno: number, problem: string): number {
    this.#problem = problem;
    this.#native.finish(problem);
    return errno;
  }

  #version(body: Uint8Array): number | undefined {
    const client = readVersion(body);
    return 'problem' in client ? this.#refuse(EINVAL, client.problem) : this.#agree(client);
  }

  /** Answers VERSION and lets the client hold the device. Undefined, also when it has to wait; or the errno that it is refused with. */
  #agree(client: Version): number | undefined {
    const mayHold = this.#owner.mayHold(this);
    if (mayHold === undefined) {
      this.#asking = client;
      return undefined;
    }
    if (!mayHold) return this.#refuse(EBUSY, 'another client holds the device');
    // Before the client has anything: what is available is what the operator allows.
    const { mappingsAvailable: maxDmaMaps, pageSizes } = coreOf(this.#device.handle).dmaInfo();
    const migration = this.#device.migration !== undefined;
    const answer = answerVersion(client, { ...this.#features, migration, maxDmaMaps, pageSizes });
    if ('problem' in answer) return this.#refuse(EINVAL, answer.problem);
    // Before there is a hold that would have to be taken back.
    const twin: readonly number[] | number =
      answer.capabilities.twin_socket === undefined ? [] : unlessRefused(socketPair);
    if (typeof twin === 'number') return this.#refuse(twin, 'the twin socket cannot be made');
    const [near, far] = twin;
    try {
      const errno = this.#begin(client, answer, near);
      if (errno !== undefined) return errno;
      // Whoever heard of it may have ended the connection.
      if (this.#isClosed) return undefined;
      this.#owner.holds(this);
      this.#native.answer(writeVersion(answer), far === undefined ? [] : [far]);
    } finally {
      for (const fd of twin) closeFd(fd);
    }
    return undefined;
  }

  /** Takes hold of the device as agreed. Undefined, or the errno that VERSION is refused with: nothing is held then. */
  #begin(client: Version, answer: Version, twin: number | undefined): number | undefined {
    const { capabilities } = answer;
    this.#maxTransfer = Math.min(clientTransfer(client), MAX_TRANSFER);
    this.#maxFds = clientMessageFds(client);
    this.#padded = client.minor > VERSION_MINOR;
    const agreement = {
      maxTransfer: clientTransfer(client),
      writeMultiple: capabilities.write_multiple ?? false,
    };
    // A client is held to what it was told; what it was not told has the operator's limits.
    const { max_dma_maps: maps, pgsizes } = capabilities;
    try {
      this.#hold = this.#device.attach({
        name: this.name,
        onRevoked: (reason) => {
          this.#native.close(reason);
        },
      });
      this.#hold.start();
      coreOf(this.#device.handle).setClientDmaLimits(maps === undefined ? ALL : BigInt(maps), BigInt(pgsizes ?? 0));
      this.#native.negotiated(agreement, twin);
    } catch (error) {
      this.#detach();
      return this.#refuse(refusalOf(error) ?? EIO, error instanceof Error ? error.message : String(error));
    }
    if (this.#isClosed) this.#detach();
    return undefined;
  }

  #deviceInfo(body: Uint8Array): Uint8Array | number {
    const request = decodeDeviceInfo(body);
    if (request === undefined || request.argsz < DEVICE_INFO_SIZE) return EINVAL;
    return encodeDeviceInfo({
      argsz: DEVICE_INFO_SIZE,
      flags: DeviceFlag.reset | DeviceFlag.pci,
      regions: regionCount(this.#device.regions),
      irqs: IRQS,
    });
  }

  #regionInfo(body: Uint8Array): Answer | undefined {
    const answer = answerRegionInfo(this.#device.regions, body, Math.min(this.#maxFds, FDS_PER_MESSAGE));
    if (typeof answer === 'number') return answer;
    if (answer.fds.length === 0) return answer.body;
    return answerWithFds(this.#native, answer.body, answer.fds);
  }

  #irqInfo(body: Uint8Array): Uint8Array | number {
    const request = decodeIrqInfo(body);
    if (request === undefined || request.argsz < IRQ_INFO_SIZE || request.index >= IRQS) return EINVAL;
    const irq = this.#device.irqs[request.index];
    return encodeIrqInfo({
      argsz: IRQ_INFO_SIZE,
      flags: irq?.flags ?? 0,
      index: request.index,
      count: irq?.count ?? 0,
    });
  }

  #reset(): Uint8Array | number {
    const errno = coreOf(this.#device.handle).reset();
    return errno === 0 ? new Uint8Array(0) : errno;
  }
}
