import { MessageMemory } from '../../mdev/dma/message-memory.ts';
import {
  type DeviceInfo,
  type DmaMapRequest,
  type DmaRange,
  type FeatureRequest,
  type IrqInfo,
  type MappedRegion,
  type RegionInfo,
  type SetIrqsRequest,
  VfioDevice,
  type WriteOptions,
} from '../../mdev/index.ts';
import { checkInteger, completeSetIrqs } from '../../mdev/vfio/vfio-requests.ts';
import { Command } from '../protocol/constants.ts';
import {
  decodeDeviceInfo,
  decodeIrqInfo,
  DEVICE_INFO_SIZE,
  encodeDeviceInfo,
  encodeIrqInfo,
  encodeMigrationData,
  IRQ_INFO_SIZE,
} from '../protocol/structures/index.ts';
import type { Version } from '../protocol/version.ts';
import { answerDma } from './dma-answers.ts';
import { irqMessages } from './irq-messages.ts';
import { ClientMemory } from './memory.ts';
import { ClientNegotiation } from './negotiation.ts';
import { ClientRegions } from './regions.ts';
import { RequestChannel, type ServerRequestHandler } from './request-channel.ts';
import { featureQuestion, migrationReadQuestion, type RegionEventFds, type RegionWriteRequest } from './requests.ts';
import { transferPieces } from './transfer-pieces.ts';

/** The requests beneath a client, for those who send what no client would. The package does not export it. */
export let channelOf: (client: Client) => RequestChannel;

/**
 * A device behind a vfio-user socket, for VMMs and tests in TypeScript. Requests may be pipelined: each method sends at once and resolves with its
 * reply. Beside the device's own refusals there are `ECONNRESET` when the connection ends, and `EPROTO` when a reply makes no sense.
 *
 * The event loop stays alive until the client is closed. Made by `connect`.
 */
export class Client extends VfioDevice {
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>;
  static {
    channelOf = (client) => client.#channel;
  }

  readonly #channel: RequestChannel;
  readonly #negotiation: ClientNegotiation;
  readonly #regions: ClientRegions;
  readonly #memory: ClientMemory;

  /** @internal */
  constructor(fd: number) {
    super();
    const memory = new MessageMemory();
    const handler: ServerRequestHandler = { request: (command, body) => answerDma(memory, command, body) };
    this.#channel = new RequestChannel(fd, handler);
    this.#negotiation = new ClientNegotiation(this.#channel, handler);
    this.#regions = new ClientRegions(this.#channel, this.#negotiation);
    this.#memory = new ClientMemory(this.#channel, memory);
    this.closed = this.#channel.closed;
  }

  /** False once the connection has ended. */
  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  /** What the server answered to the version; undefined before that. */
  get version(): Version | undefined {
    return this.#negotiation.version;
  }

  /**
   * Agrees on the version: the first request. `connect` has done it unless it was told not to.
   *
   * @param offer what to tell the server instead of this client's own version and capabilities.
   * @throws `VfioError` when the server refuses it, its answer makes no sense (`EPROTO`), or the connection ends.
   */
  negotiate(offer: Partial<Version> = {}): Promise<Version> {
    return this.#negotiation.negotiate(offer);
  }

  override async info(): Promise<DeviceInfo> {
    const request = encodeDeviceInfo({ argsz: DEVICE_INFO_SIZE, flags: 0, regions: 0, irqs: 0 });
    const { flags, irqs, regions } = await this.#ask(Command.deviceGetInfo, request, decodeDeviceInfo);
    return { flags, regions, irqs };
  }

  override regionInfo(index: number): Promise<RegionInfo> {
    return this.#regions.info(index);
  }

  override mapRegion(index: number): Promise<MappedRegion> {
    return this.#regions.map(index);
  }

  /**
   * GET_REGION_IO_FDS: eventfds that spare messages. They belong to the caller; disposing of the result closes them all.
   *
   * @param index VFIO region index; `EINVAL` when the device has none of it.
   */
  regionEventFds(index: number): Promise<RegionEventFds> {
    return this.#regions.eventFds(index);
  }

  override async irqInfo(index: number): Promise<IrqInfo> {
    checkInteger('deviceGetIrqInfo', 'the index', index);
    const request = encodeIrqInfo({ argsz: IRQ_INFO_SIZE, flags: 0, index, count: 0 });
    const { count, flags } = await this.#ask(Command.deviceGetIrqInfo, request, decodeIrqInfo);
    return { index, count, flags };
  }

  override readRegion(region: number, offset: number, count: number): Promise<Uint8Array> {
    return this.#regions.read(region, offset, count);
  }

  override writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.#regions.write(region, offset, data, options);
  }

  /**
   * REGION_WRITE_MULTI: several writes in one message, in order. `EOPNOTSUPP` unless the server accepted `write_multiple`; `EINVAL`, and none is done, when
   * one of them is in no region that can be written.
   *
   * @returns how many were done: those behind the first one that was refused are not.
   */
  writeRegions(writes: readonly RegionWriteRequest[], options?: WriteOptions): Promise<number> {
    return this.#regions.writeSeveral(writes, options);
  }

  override async setIrqs(request: SetIrqsRequest): Promise<void> {
    const messages = irqMessages(completeSetIrqs(request), this.#negotiation.maxMessageFds);
    await Promise.all(messages.map(({ body, fds }) => this.#channel.tell(Command.deviceSetIrqs, body, fds)));
  }

  override dmaMap(request: DmaMapRequest): Promise<void> {
    return this.#memory.map(request);
  }

  override dmaUnmap(range: DmaRange): Promise<void> {
    return this.#memory.unmap(range);
  }

  override dmaUnmapDirty(range: DmaRange, pageSize: bigint): Promise<Uint8Array> {
    return this.#memory.unmapDirty(range, pageSize);
  }

  override dmaUnmapAll(): Promise<void> {
    return this.#memory.unmapAll();
  }

  override async feature(request: FeatureRequest): Promise<Uint8Array> {
    return await this.#channel.ask(featureQuestion(request));
  }

  override async readMigrationData(size: number): Promise<Uint8Array> {
    checkInteger('migrationDataRead', 'the size', size);
    return await this.#channel.ask(migrationReadQuestion(Math.min(size, this.#negotiation.maxTransfer)));
  }

  override async writeMigrationData(data: Uint8Array): Promise<void> {
    const requests = transferPieces(data.length, this.#negotiation.maxTransfer).map(({ size, start }) =>
      this.#channel.tell(Command.migrationDataWrite, encodeMigrationData(data.subarray(start, start + size))),
    );
    await Promise.all(requests);
  }

  override async reset(): Promise<void> {
    await this.#channel.tell(Command.deviceReset, new Uint8Array(0));
  }

  /** Ends the connection. Requests under way are rejected. Idempotent. */
  override async close(): Promise<void> {
    this.#channel.close('closed by the client');
    await this.closed;
  }

  /** A request whose reply brings no fds, and means what `decode` says. */
  #ask<T>(command: number, body: Uint8Array, decode: (body: Uint8Array) => T | undefined): Promise<T> {
    return this.#channel.ask({ command, body, decode: (reply) => decode(reply.body) });
  }
}
