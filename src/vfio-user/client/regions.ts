import { type MappedRegion, type RegionInfo, VfioError, type WriteOptions } from '../../mdev/index.ts';
import { mapRegion } from '../../mdev/vfio/mapped-region.ts';
import { checkAccess, checkInteger } from '../../mdev/vfio/vfio-requests.ts';
import { Command, MAX_MESSAGE_FDS } from '../protocol/constants.ts';
import { encodeRegionAccess, joined, REGION_INFO_SIZE, REGION_IO_FDS_SIZE } from '../protocol/structures/index.ts';
import type { ClientNegotiation } from './negotiation.ts';
import { regionData } from './replies.ts';
import type { RequestChannel } from './request-channel.ts';
import {
  type RegionEventFds,
  regionInfoQuestion,
  regionIoFdsQuestion,
  type RegionReply,
  regionWritesQuestion,
  type RegionWriteRequest,
} from './requests.ts';
import { transferPieces } from './transfer-pieces.ts';

/** A client's requests about the regions of its device; `Client` says what each does. */
export class ClientRegions {
  readonly #channel: RequestChannel;
  readonly #agreed: Pick<ClientNegotiation, 'maxTransfer' | 'version'>;

  constructor(channel: RequestChannel, agreed: Pick<ClientNegotiation, 'maxTransfer' | 'version'>) {
    this.#channel = channel;
    this.#agreed = agreed;
  }

  async info(index: number): Promise<RegionInfo> {
    const { fds, info } = await this.#ask(index);
    for (const fd of fds) this.#channel.closeFd(fd);
    return info;
  }

  async map(index: number): Promise<MappedRegion> {
    const { fds, fileOffset, info } = await this.#ask(index);
    try {
      return mapRegion(info, fds, fileOffset, undefined);
    } finally {
      for (const fd of fds) this.#channel.closeFd(fd);
    }
  }

  async eventFds(index: number): Promise<RegionEventFds> {
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

  async read(region: number, offset: number, count: number): Promise<Uint8Array> {
    checkAccess('regionRead', region, offset, count);
    const pieces = await Promise.all(
      transferPieces(count, this.#agreed.maxTransfer).map(({ start, size }) => {
        const access = { offset: BigInt(offset) + BigInt(start), region, count: size };
        const body = encodeRegionAccess(access);
        const decode = (reply: { readonly body: Uint8Array }) => regionData(access, reply.body, size);
        return this.#channel.ask({ command: Command.regionRead, body, decode });
      }),
    );
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : joined(...pieces);
  }

  async write(region: number, offset: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    checkAccess('regionWrite', region, offset, data.length);
    const requests = transferPieces(data.length, this.#agreed.maxTransfer).map(async ({ start, size }) => {
      const access = { offset: BigInt(offset) + BigInt(start), region, count: size };
      const body = encodeRegionAccess(access, data.subarray(start, start + size));
      const decode = (reply: { readonly body: Uint8Array }) => regionData(access, reply.body, 0);
      if (options?.posted === true) this.#channel.post(Command.regionWrite, body);
      else await this.#channel.ask({ command: Command.regionWrite, body, decode });
    });
    await Promise.all(requests);
  }

  async writeSeveral(writes: readonly RegionWriteRequest[], options?: WriteOptions): Promise<number> {
    const question = regionWritesQuestion(writes);
    if (this.#agreed.version?.capabilities.write_multiple !== true) {
      const problem = 'the server does not take several writes in one message';
      throw new VfioError('EOPNOTSUPP', problem, 'regionWriteMultiple');
    }
    if (options?.posted !== true) return await this.#channel.ask(question);
    this.#channel.post(question.command, question.body);
    return writes.length;
  }

  /** What a region is, with its capabilities and files. */
  async #ask(index: number): Promise<RegionReply> {
    checkInteger('deviceGetRegionInfo', 'the index', index);
    const plain = await this.#channel.ask(regionInfoQuestion(index, REGION_INFO_SIZE, MAX_MESSAGE_FDS));
    if (plain.argsz <= REGION_INFO_SIZE) return plain;
    for (const fd of plain.fds) this.#channel.closeFd(fd);
    return await this.#channel.ask(regionInfoQuestion(index, plain.argsz, MAX_MESSAGE_FDS));
  }
}
