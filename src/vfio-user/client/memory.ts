import type { MessageMemory } from '../../mdev/dma/message-memory.ts';
import { type DmaMapRequest, type DmaRange, VfioError } from '../../mdev/index.ts';
import { checkAddress, checkRange, completeDmaMap } from '../../mdev/vfio/vfio-requests.ts';
import { Command, DMA_UNMAP_ALL, MAX_TRANSFER } from '../protocol/constants.ts';
import {
  decodeDmaUnmapDirty,
  dirtyBitmapBytes,
  encodeDmaMap,
  encodeDmaUnmap,
  encodeDmaUnmapDirty,
} from '../protocol/structures/index.ts';
import type { RequestChannel } from './request-channel.ts';

/** The guest memory that a client gives its device, and what answers for the part that has no file. */
export class ClientMemory {
  readonly #channel: RequestChannel;
  readonly #memory: MessageMemory;

  constructor(channel: RequestChannel, memory: MessageMemory) {
    this.#channel = channel;
    this.#memory = memory;
  }

  /** DMA_MAP. */
  async map(request: DmaMapRequest): Promise<void> {
    const { file, iova, memory, offset, rights, size } = completeDmaMap(request);
    const body = encodeDmaMap({ flags: rights, offset, address: iova, size });
    if (file !== undefined || memory === undefined) {
      await this.#channel.tell(Command.dmaMap, body, file === undefined ? [] : [file.fd]);
      return;
    }
    // Known before the server is: it may ask at once.
    const range = { address: iova, memory, rights };
    this.#memory.offer(range);
    try {
      await this.#channel.tell(Command.dmaMap, body);
      this.#memory.accept(range);
    } catch (error) {
      this.#memory.withdraw(range);
      throw error;
    }
  }

  /** DMA_UNMAP. */
  async unmap(range: DmaRange): Promise<void> {
    checkRange('dmaUnmap', range);
    const { iova, size } = range;
    const gone = this.#memory.inside(iova, size);
    await this.#channel.tell(Command.dmaUnmap, encodeDmaUnmap({ flags: 0, address: iova, size }));
    this.#memory.remove(gone);
  }

  /** DMA_UNMAP with the bitmap of what the device wrote. */
  async unmapDirty(range: DmaRange, pageSize: bigint): Promise<Uint8Array> {
    const { iova, size } = range;
    checkRange('dmaUnmap', range);
    checkAddress('dmaUnmap', 'pageSize', pageSize);
    const bytes = pageSize === 0n ? 0n : dirtyBitmapBytes(size, pageSize);
    if (pageSize === 0n || bytes > BigInt(MAX_TRANSFER)) {
      throw VfioError.badArgument('dmaUnmap', `the bitmap of ${size} bytes by ${pageSize} does not fit a message`);
    }
    const gone = this.#memory.inside(iova, size);
    const bitmap = await this.#channel.ask({
      command: Command.dmaUnmap,
      body: encodeDmaUnmapDirty({ address: iova, size }, pageSize),
      decode: ({ body }) => decodeDmaUnmapDirty(body, bytes),
    });
    this.#memory.remove(gone);
    return bitmap;
  }

  /** DMA_UNMAP of everything. */
  async unmapAll(): Promise<void> {
    const gone = this.#memory.all();
    await this.#channel.tell(Command.dmaUnmap, encodeDmaUnmap({ flags: DMA_UNMAP_ALL, address: 0n, size: 0n }));
    this.#memory.remove(gone);
  }
}
