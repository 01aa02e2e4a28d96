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
  VfioError,
  type WriteOptions,
} from '../mdev/index.ts';
import { mapRegion } from '../mdev/mapped-region.ts';
import { checkAccess, checkInteger, completeSetIrqs } from '../mdev/vfio-requests.ts';
import { ClientMemory } from './client-memory.ts';
import { versionQuestion } from './client-version.ts';
import { answerDma } from './dma-answers.ts';
import {
  featureQuestion,
  migrationReadQuestion,
  type RegionEventFds,
  regionInfoQuestion,
  regionIoFdsQuestion,
  type RegionReply,
  regionWritesQuestion,
  type RegionWriteRequest,
} from './client-requests.ts';
import { irqMessages } from './irq-messages.ts';
import { MessageMemory } from '../mdev/message-memory.ts';
import { isListening } from './native.ts';
import { Command, MAX_MESSAGE_FDS, MAX_TRANSFER } from './protocol.ts';
import { regionData } from './replies.ts';
import { RequestChannel, type ServerRequestHandler } from './request-channel.ts';
import {
  decodeDeviceInfo,
  decodeIrqInfo,
  DEVICE_INFO_SIZE,
  encodeDeviceInfo,
  encodeIrqInfo,
  encodeMigrationData,
  encodeRegionAccess,
  IRQ_INFO_SIZE,
  joined,
  REGION_INFO_SIZE,
  REGION_IO_FDS_SIZE,
} from './structures/index.ts';
import { DEFAULT_MESSAGE_FDS, DEFAULT_TRANSFER, type Version } from './version.ts';

/**
 * A device behind a vfio-user socket, for VMMs and tests in TypeScript. Requests may be pipelined: each method sends at once and resolves with its
 * reply. Beside the device's own refusals there are `ECONNRESET` when the connection ends, and `EPROTO` when a reply makes no sense.
 *
 * The event loop stays alive until the client is closed. Made by `connect`.
 */
export class Client extends VfioDevice {
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>;
  readonly #channel: RequestChannel;
  readonly #memory: ClientMemory;
  readonly #answer: ServerRequestHandler;
  #version: Version | undefined;
  #maxTransfer = DEFAULT_TRANSFER;
  #maxMessageFds = DEFAULT_MESSAGE_FDS;

  /** @internal */
  constructor(fd: number) {
    super();
    const memory = new MessageMemory();
    this.#answer = { request: (command, body) => answerDma(memory, command, body) };
    this.#channel = new RequestChannel(fd, this.#answer);
    this.#memory = new ClientMemory(this.#channel, memory);
    this.closed = this.#channel.closed;
  }

  /** False once the connection has ended. */
  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  /** What the server answered to the version; undefined before that. */
  get version(): Version | undefined {
    return this.#version;
  }

  /** The requests beneath: for what this class does not offer, and for tests that send what no client would. */
  get channel(): RequestChannel {
    return this.#channel;
  }

  /**
   * Agrees on the version: the first request. `connect` has done it unless it was told not to.
   *
   * @param offer what to tell the server instead of this client's own version and capabilities.
   */
  async negotiate(offer: Partial<Version> = {}): Promise<Version> {
    const { twin, version } = await this.#channel.ask(versionQuestion(offer));
    this.#version = version;
    if (twin !== undefined) this.#openTwin(twin);
    this.#maxTransfer = Math.min(version.capabilities.max_data_xfer_size ?? DEFAULT_TRANSFER, MAX_TRANSFER);
    this.#maxMessageFds = Math.max(1, version.capabilities.max_msg_fds ?? DEFAULT_MESSAGE_FDS);
    return version;
  }

  /** From now on the server's own requests come here. */
  #openTwin(fd: number): void {
    try {
      isListening(fd);
    } catch {
      this.#channel.breakOff('the twin socket is no socket', [fd]);
      return;
    }
    const twin = new RequestChannel(fd, this.#answer);
    void this.closed.then(() => {
      twin.close('the connection has ended');
    });
    void twin.closed.then((reason) => {
      this.#channel.close(`the twin socket: ${reason}`);
    });
  }

  override async info(): Promise<DeviceInfo> {
    const request = encodeDeviceInfo({ argsz: DEVICE_INFO_SIZE, flags: 0, regions: 0, irqs: 0 });
    const { flags, irqs, regions } = await this.#ask(Command.deviceGetInfo, request, decodeDeviceInfo);
    return { flags, regions, irqs };
  }

  override async regionInfo(index: number): Promise<RegionInfo> {
    const { fds, info } = await this.#region(index);
    for (const fd of fds) this.#channel.closeFd(fd);
    return info;
  }

  override async mapRegion(index: number): Promise<MappedRegion> {
    const { fds, fileOffset, info } = await this.#region(index);
    try {
      return mapRegion(info, fds, fileOffset, undefined);
    } finally {
      for (const fd of fds) this.#channel.closeFd(fd);
    }
  }

  /**
   * GET_REGION_IO_FDS: eventfds that spare messages. They belong to the caller; disposing of the result closes them all.
   *
   * @param index VFIO region index; `EINVAL` when the device has none of it.
   */
  async regionEventFds(index: number): Promise<RegionEventFds> {
    checkInteger('deviceGetRegionIoFds', 'the index', index);
    let reply = await this.#channel.ask(regionIoFdsQuestion(index, REGION_IO_FDS_SIZE, 0));
    if (reply.entries === undefined) {
      reply = await this.#channel.ask(regionIoFdsQuestion(index, reply.argsz, MAX_MESSAGE_FDS));
    }
    const { argsz, entries, fds } = reply;
    if (entries === undefined) {
      const problem = `deviceGetRegionIoFds: the reply needs ${argsz} bytes now; it said that less is enough`;
      throw new VfioError('EPROTO', problem, 'deviceGetRegionIoFds');
    }
    return {
      entries,
      [Symbol.dispose]: () => {
        for (const fd of fds) this.#channel.closeFd(fd);
      },
    };
  }

  override async irqInfo(index: number): Promise<IrqInfo> {
    checkInteger('deviceGetIrqInfo', 'the index', index);
    const request = encodeIrqInfo({ argsz: IRQ_INFO_SIZE, flags: 0, index, count: 0 });
    const { count, flags } = await this.#ask(Command.deviceGetIrqInfo, request, decodeIrqInfo);
    return { index, count, flags };
  }

  override async readRegion(region: number, offset: number, count: number): Promise<Uint8Array> {
    checkAccess('regionRead', region, offset, count);
    const pieces = await Promise.all(
      this.#pieces(count).map(({ start, size }) => {
        const access = { offset: BigInt(offset) + BigInt(start), region, count: size };
        return this.#ask(Command.regionRead, encodeRegionAccess(access), (body) => regionData(access, body, size));
      }),
    );
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : joined(...pieces);
  }

  override async writeRegion(region: number, offset: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    checkAccess('regionWrite', region, offset, data.length);
    const requests = this.#pieces(data.length).map(async ({ start, size }) => {
      const access = { offset: BigInt(offset) + BigInt(start), region, count: size };
      const request = encodeRegionAccess(access, data.subarray(start, start + size));
      if (options?.posted === true) this.#channel.post(Command.regionWrite, request);
      else await this.#ask(Command.regionWrite, request, (body) => regionData(access, body, 0));
    });
    await Promise.all(requests);
  }

  /**
   * REGION_WRITE_MULTI: several writes in one message, in order. `EOPNOTSUPP` unless the server accepted `write_multiple`; `EINVAL`, and none is done, when
   * one of them is in no region that can be written.
   *
   * @returns how many were done: those behind the first one that was refused are not.
   */
  async writeRegions(writes: readonly RegionWriteRequest[], options?: WriteOptions): Promise<number> {
    const question = regionWritesQuestion(writes);
    if (this.#version?.capabilities.write_multiple !== true) {
      throw new VfioError(
        'EOPNOTSUPP',
        'the server does not take several writes in one message',
        'regionWriteMultiple',
      );
    }
    if (options?.posted !== true) return await this.#channel.ask(question);
    this.#channel.post(question.command, question.body);
    return writes.length;
  }

  override async setIrqs(request: SetIrqsRequest): Promise<void> {
    const messages = irqMessages(completeSetIrqs(request), this.#maxMessageFds);
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
    return await this.#channel.ask(migrationReadQuestion(Math.min(size, this.#maxTransfer)));
  }

  override async writeMigrationData(data: Uint8Array): Promise<void> {
    const requests = this.#pieces(data.length).map(({ size, start }) =>
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

  /** What a region is, with its capabilities and files. */
  async #region(index: number): Promise<RegionReply> {
    checkInteger('deviceGetRegionInfo', 'the index', index);
    const plain = await this.#channel.ask(regionInfoQuestion(index, REGION_INFO_SIZE, MAX_MESSAGE_FDS));
    if (plain.argsz <= REGION_INFO_SIZE) return plain;
    for (const fd of plain.fds) this.#channel.closeFd(fd);
    return await this.#channel.ask(regionInfoQuestion(index, plain.argsz, MAX_MESSAGE_FDS));
  }

  /** A request whose reply brings no fds, and means what `decode` says. */
  #ask<T>(command: number, body: Uint8Array, decode: (body: Uint8Array) => T | undefined): Promise<T> {
    return this.#channel.ask({ command, body, decode: (reply) => decode(reply.body) });
  }

  /** A transfer in messages that the server accepts; one of 0 bytes is one message. */
  #pieces(count: number): { readonly start: number; readonly size: number }[] {
    const pieces = [];
    let start = 0;
    do {
      const size = Math.min(count - start, this.#maxTransfer);
      pieces.push({ start, size });
      start += size;
    } while (start < count);
    return pieces;
  }
}
