import { constants } from 'node:os';

import { closeFd } from '../native/binding.ts';
import type { DmaMapOptions, SetIrqsOptions } from './client-options.ts';
import { MessageMemory } from './message-memory.ts';
import {
  Command,
  DMA_UNMAP_ALL,
  DmaRight,
  IrqSetFlag,
  MAX_MESSAGE_FDS,
  MAX_TRANSFER,
  PAGE_SIZE,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './protocol.ts';
import { type Reply, RequestChannel } from './request-channel.ts';
import {
  decodeDeviceInfo,
  decodeDmaAccess,
  decodeIrqInfo,
  decodeRegionAccess,
  decodeRegionInfo,
  DEVICE_INFO_SIZE,
  type DeviceInfo,
  DMA_ACCESS_SIZE,
  encodeDeviceInfo,
  encodeDmaAccess,
  encodeDmaMap,
  encodeDmaUnmap,
  encodeIrqInfo,
  encodeRegionAccess,
  encodeRegionInfo,
  encodeSetIrqs,
  IRQ_INFO_SIZE,
  type IrqInfo,
  REGION_ACCESS_SIZE,
  REGION_INFO_SIZE,
  type RegionInfo,
} from './structures/index.ts';
import {
  type Capabilities,
  DEFAULT_MESSAGE_FDS,
  DEFAULT_TRANSFER,
  readVersion,
  type Version,
  writeVersion,
} from './version.ts';
import { VfioUserError } from './vfio-user-error.ts';

const { EFAULT, EINVAL } = constants.errno;

const ACCESS_RIGHTS = { r: DmaRight.read, w: DmaRight.write, rw: DmaRight.read | DmaRight.write } as const;
/**
 * A vfio-user client, for VMMs and tests in TypeScript. Requests may be pipelined: each method sends at once and resolves with its reply. All
 * reject with a {@link VfioUserError}: the errno of an error reply, ECONNRESET when the connection ends, EPROTO when a reply makes no sense.
 *
 * The event loop stays alive until the client is closed. Made by `connect`.
 */
export class Client implements AsyncDisposable {
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<string>;
  readonly #channel: RequestChannel;
  readonly #memory = new MessageMemory();
  #maxTransfer = DEFAULT_TRANSFER;
  #maxMessageFds = DEFAULT_MESSAGE_FDS;

  /** @internal */
  constructor(fd: number) {
    this.#channel = new RequestChannel(fd, { request: (command, body) => this.#answer(command, body) });
    this.closed = this.#channel.closed;
  }

  /** False once the connection has ended. */
  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  /** The requests beneath: for what this class does not offer, and for tests that send what no client would. */
  get channel(): RequestChannel {
    return this.#channel;
  }

  /**
   * Agrees on the version. Must be the first request.
   *
   * @param offer what to tell the server instead of this client's own capabilities.
   */
  async negotiate(offer: Partial<Version> = {}): Promise<Version> {
    const capabilities: Capabilities = {
      max_msg_fds: MAX_MESSAGE_FDS,
      max_data_xfer_size: MAX_TRANSFER,
      max_dma_maps: 65_535,
      pgsizes: PAGE_SIZE,
    };
    const { body } = await this.#request(
      Command.version,
      writeVersion({ major: VERSION_MAJOR, minor: VERSION_MINOR, capabilities, ...offer }),
    );
    const answer = readVersion(body);
    if ('problem' in answer) throw VfioUserError.badReply(Command.version, `cannot be understood: ${answer.problem}`);
    this.#maxTransfer = Math.min(answer.capabilities.max_data_xfer_size ?? DEFAULT_TRANSFER, MAX_TRANSFER);
    this.#maxMessageFds = Math.max(1, answer.capabilities.max_msg_fds ?? DEFAULT_MESSAGE_FDS);
    return answer;
  }

  async deviceInfo(): Promise<DeviceInfo> {
    const request = encodeDeviceInfo({ argsz: DEVICE_INFO_SIZE, flags: 0, regions: 0, irqs: 0 });
    const { body } = await this.#request(Command.deviceGetInfo, request);
    return decodeDeviceInfo(body) ?? tooShort(Command.deviceGetInfo, body);
  }

  /** @param index VFIO region index. */
  async regionInfo(index: number): Promise<RegionInfo> {
    const request = { argsz: REGION_INFO_SIZE, flags: 0, index, capabilityOffset: 0, size: 0, offset: 0 };
    const { body } = await this.#request(Command.deviceGetRegionInfo, encodeRegionInfo(request));
    return decodeRegionInfo(body) ?? tooShort(Command.deviceGetRegionInfo, body);
  }

  /** @param index VFIO irq index. */
  async irqInfo(index: number): Promise<IrqInfo> {
    const request = encodeIrqInfo({ argsz: IRQ_INFO_SIZE, flags: 0, index, count: 0 });
    const { body } = await this.#request(Command.deviceGetIrqInfo, request);
    return decodeIrqInfo(body) ?? tooShort(Command.deviceGetIrqInfo, body);
  }

  /**
   * Reads a region: 1, 2, 4 or 8 bytes are one access of a register; more are split as the server wants it.
   *
   * @param offset bytes, 0 to 2^53 - 1.
   */
  async readRegion(region: number, offset: number, count: number): Promise<Uint8Array> {
    const pieces = await Promise.all(
      this.#pieces(count).map(async ({ start, size }) => {
        const access = { offset: BigInt(offset + start), region, count: size };
        const { body } = await this.#request(Command.regionRead, encodeRegionAccess(access));
        checkAccess(Command.regionRead, access, body, size);
        return { start, data: body.subarray(REGION_ACCESS_SIZE) };
      }),
    );
    const into = new Uint8Array(count);
    for (const { start, data } of pieces) into.set(data, start);
    return into;
  }

  /**
   * Writes a region, as {@link readRegion} reads one.
   *
   * @param options `posted`: the server does not answer; this resolves when the write is queued.
   */
  async writeRegion(
    region: number,
    offset: number,
    data: Uint8Array,
    options: { readonly posted?: boolean } = {},
  ): Promise<void> {
    await Promise.all(
      this.#pieces(data.length).map(async ({ start, size }) => {
        const access = { offset: BigInt(offset + start), region, count: size };
        const request = encodeRegionAccess(access, data.subarray(start, start + size));
        if (options.posted === true) {
          this.#channel.post(Command.regionWrite, request);
          return;
        }
        const { body } = await this.#request(Command.regionWrite, request);
        checkAccess(Command.regionWrite, access, body, 0);
      }),
    );
  }

  /** Reads a register of 1, 2 or 4 bytes. */
  async readRegister(region: number, offset: number, width: 1 | 2 | 4): Promise<number> {
    const view = viewOf(await this.readRegion(region, offset, width));
    return width === 1 ? view.getUint8(0) : width === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
  }

  /** Writes a register of 1, 2 or 4 bytes. */
  async writeRegister(
    region: number,
    offset: number,
    width: 1 | 2 | 4,
    value: number,
    options: { readonly posted?: boolean } = {},
  ): Promise<void> {
    const data = new Uint8Array(4);
    viewOf(data).setUint32(0, value, true);
    await this.writeRegion(region, offset, data.subarray(0, width), options);
  }

  /** Reads a register of 8 bytes in one access. */
  async readRegister64(region: number, offset: number): Promise<bigint> {
    return viewOf(await this.readRegion(region, offset, 8)).getBigUint64(0, true);
  }

  /** Writes a register of 8 bytes in one access. */
  async writeRegister64(
    region: number,
    offset: number,
    value: bigint,
    options: { readonly posted?: boolean } = {},
  ): Promise<void> {
    const data = new Uint8Array(8);
    viewOf(data).setBigUint64(0, value, true);
    await this.writeRegion(region, offset, data, options);
  }

  /** Assigns, takes away, fires or masks interrupts. eventfds go in as many messages as the server's `max_msg_fds` makes necessary. */
  async setIrqs(options: SetIrqsOptions): Promise<void> {
    const { index, action = 'trigger', start = 0, eventfds, booleans } = options;
    const count = options.count ?? eventfds?.length ?? booleans?.length ?? 0;
    if (eventfds !== undefined && eventfds.length > 0) {
      const flags = IrqSetFlag[action] | IrqSetFlag.eventfd;
      const requests: Promise<Reply>[] = [];
      for (let first = 0; first < eventfds.length; first += this.#maxMessageFds) {
        const fds = eventfds.slice(first, first + this.#maxMessageFds);
        const body = encodeSetIrqs({ flags, index, start: start + first, count: fds.length });
        requests.push(this.#request(Command.deviceSetIrqs, body, fds));
      }
      await Promise.all(requests);
      return;
    }
    const data =
      eventfds !== undefined ? IrqSetFlag.eventfd : booleans !== undefined ? IrqSetFlag.bool : IrqSetFlag.none;
    const bytes = Uint8Array.from(booleans ?? [], Number);
    await this.#request(
      Command.deviceSetIrqs,
      encodeSetIrqs({ flags: IrqSetFlag[action] | data, index, start, count }, bytes),
    );
  }

  /** Gives the device guest memory. */
  async dmaMap(options: DmaMapOptions): Promise<void> {
    const { address, file, memory, offset = 0n } = options;
    const flags = ACCESS_RIGHTS[options.access ?? 'rw'];
    const size = options.size ?? BigInt(memory?.length ?? 0);
    // Known before the server is: it may ask at once.
    if (file === undefined && memory !== undefined) this.#memory.add(address, memory.subarray(0, Number(size)), flags);
    try {
      await this.#request(
        Command.dmaMap,
        encodeDmaMap({ flags, offset, address, size }),
        file === undefined ? [] : [file.fd],
      );
    } catch (error) {
      if (file === undefined && memory !== undefined) this.#memory.remove(address, size);
      throw error;
    }
  }

  /** Takes guest memory away; what the device still does with it ends first. Everything when no range is given. */
  async dmaUnmap(range?: { readonly address: bigint; readonly size: bigint }): Promise<void> {
    const { address, size } = range ?? { address: 0n, size: 0n };
    await this.#request(
      Command.dmaUnmap,
      encodeDmaUnmap({ flags: range === undefined ? DMA_UNMAP_ALL : 0, address, size }),
    );
    if (range === undefined) this.#memory.clear();
    else this.#memory.remove(address, size);
  }

  /** Resets the device. */
  async reset(): Promise<void> {
    await this.#request(Command.deviceReset, new Uint8Array(0));
  }

  /** Ends the connection. Requests under way are rejected. Idempotent. */
  async close(): Promise<void> {
    this.#channel.close('closed by the client');
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A request whose reply brings no fds: none that this client makes does. */
  async #request(command: number, body: Uint8Array, fds: readonly number[] = []): Promise<Reply> {
    const reply = await this.#channel.request(command, body, fds);
    for (const fd of reply.fds) closeFd(fd);
    return reply;
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

  /** Answers DMA_READ and DMA_WRITE. */
  #answer(command: number, body: Uint8Array): Uint8Array | number {
    const access = decodeDmaAccess(body);
    if (access === undefined || access.count > BigInt(MAX_TRANSFER)) return EINVAL;
    const count = Number(access.count);
    if (command === Command.dmaRead) {
      const data = this.#memory.read(access.address, count);
      return data === undefined ? EFAULT : encodeDmaAccess(access, data);
    }
    if (command !== Command.dmaWrite || body.length !== DMA_ACCESS_SIZE + count) return EINVAL;
    return this.#memory.write(access.address, body.subarray(DMA_ACCESS_SIZE)) ? encodeDmaAccess(access) : EFAULT;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooShort(command: number, body: Uint8Array): never {
  throw VfioUserError.badReply(command, `has only ${body.length} bytes`);
}

/** Checks that a region reply answers what was asked, with `size` bytes of data. */
function checkAccess(
  command: number,
  asked: { readonly offset: bigint; readonly region: number; readonly count: number },
  body: Uint8Array,
  size: number,
): void {
  const echoed = decodeRegionAccess(body) ?? tooShort(command, body);
  if (echoed.offset !== asked.offset || echoed.region !== asked.region || echoed.count !== asked.count) {
    throw VfioUserError.badReply(command, 'is about another access');
  }
  if (body.length !== REGION_ACCESS_SIZE + size) {
    throw VfioUserError.badReply(command, `has ${body.length - REGION_ACCESS_SIZE} bytes of data; expected ${size}`);
  }
}
