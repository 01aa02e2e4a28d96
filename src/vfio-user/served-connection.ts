import { constants } from 'node:os';

import { coreOf } from '../native/device-handle.ts';
import { errnoName, errnoOfError } from '../native/errno.ts';
import { type ConnectionHandler, createConnection, type NativeConnection } from './native.ts';
import { Command, commandName, DeviceFlag } from './protocol.ts';
import type { DeviceHold, ServedDevice } from './served-device.ts';
import {
  decodeDeviceInfo,
  decodeIrqInfo,
  decodeRegionInfo,
  DEVICE_INFO_SIZE,
  encodeDeviceInfo,
  encodeIrqInfo,
  encodeRegionInfo,
  IRQ_INFO_SIZE,
  REGION_INFO_SIZE,
} from './structures/index.ts';
import { answerVersion, DEFAULT_TRANSFER, readVersion, writeVersion } from './version.ts';

const { EBUSY, EINVAL, EIO } = constants.errno;

/** VFIO_PCI_NUM_REGIONS and VFIO_PCI_NUM_IRQS. */
const REGIONS = 9;
const IRQS = 5;
/** VFIO region flags that are ever shown; mapping is never offered. */
const REGION_FLAGS = 3;
const UINT32_MAX = 0xffff_ffff;

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
  #hold: DeviceHold | undefined;
  /** The reason of a refusal that ends the connection. */
  #problem = '';

  /** Takes `fd`, a connected socket, in every case. Throws an Error with a `code` when it is none; then it is closed. */
  constructor(device: ServedDevice, fd: number, name: string, owner: ConnectionOwner) {
    this.name = name;
    this.#device = device;
    this.#owner = owner;
    this.#native = createConnection(coreOf(device.handle), fd, this);
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
    this.#native.resume();
  }

  close(reason: string): void {
    this.#native.close(reason);
  }

  message(command: number, body: Uint8Array): Uint8Array | number | undefined {
    switch (command) {
      case Command.version:
        return this.#version(body);
      case Command.deviceGetInfo:
        return this.#deviceInfo(body);
      case Command.deviceGetRegionInfo:
        return this.#regionInfo(body);
      case Command.deviceGetIrqInfo:
        return this.#irqInfo(body);
      case Command.deviceReset:
        return this.#reset();
      default:
        return EINVAL;
    }
  }

  refused(command: number, errno: number): void {
    const why = this.#problem === '' ? '' : `: ${this.#problem}`;
    this.#owner.refused(this, `${commandName(command)} refused with ${errnoName(errno)}${why}`);
  }

  closed(reason: string): void {
    try {
      this.#detach();
    } finally {
      this.#owner.closed(this, reason);
    }
  }

  failed(error: unknown): void {
    this.#owner.failed(this, error);
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

  #version(body: Uint8Array): Uint8Array | number | undefined {
    const client = readVersion(body);
    if ('problem' in client) return this.#refuse(EINVAL, client.problem);
    const mayHold = this.#owner.mayHold(this);
    if (mayHold === undefined) return undefined;
    if (!mayHold) return this.#refuse(EBUSY, 'another client holds the device');
    try {
      this.#hold = this.#device.attach({
        name: this.name,
        onRevoked: (reason) => {
          this.#native.close(reason);
        },
      });
      this.#hold.start();
    } catch (error) {
      this.#detach();
      return this.#refuse(errnoOfError(error, EIO), error instanceof Error ? error.message : String(error));
    }
    this.#native.negotiated(Math.min(client.capabilities.max_data_xfer_size ?? DEFAULT_TRANSFER, UINT32_MAX));
    this.#owner.holds(this);
    const answer = answerVersion(client);
    // A client is held to what it was told; what it was not told has the operator's limits.
    const { max_dma_maps: maps, pgsizes } = answer.capabilities;
    const all = 0xffff_ffff_ffff_ffffn;
    coreOf(this.#device.handle).setClientDmaLimits(maps === undefined ? all : BigInt(maps), BigInt(pgsizes ?? 0));
    return writeVersion(answer);
  }

  #deviceInfo(body: Uint8Array): Uint8Array | number {
    const request = decodeDeviceInfo(body);
    if (request === undefined || request.argsz < DEVICE_INFO_SIZE) return EINVAL;
    return encodeDeviceInfo({
      argsz: DEVICE_INFO_SIZE,
      flags: DeviceFlag.reset | DeviceFlag.pci,
      regions: REGIONS,
      irqs: IRQS,
    });
  }

  #regionInfo(body: Uint8Array): Uint8Array | number {
    const request = decodeRegionInfo(body);
    if (request === undefined || request.argsz < REGION_INFO_SIZE || request.index >= REGIONS) return EINVAL;
    const region = this.#device.regions[request.index];
    const size = region?.size ?? 0;
    return encodeRegionInfo({
      argsz: REGION_INFO_SIZE,
      flags: size === 0 ? 0 : (region?.flags ?? 0) & REGION_FLAGS,
      index: request.index,
      capabilityOffset: 0,
      size,
      offset: 0,
    });
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
