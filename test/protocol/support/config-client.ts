import type { MdevDevice } from '../../../src/mdev/index.ts';
import { serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeRegionAccess,
  longs,
  REGION_ACCESS_SIZE,
  words,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { RawPeer } from '../../vfio-user/support/raw-peer.ts';

const CONFIG_REGION = 7;

/** A client of a PCI function, for its config space. Closes it in the end. */
export class ConfigClient implements AsyncDisposable {
  readonly peer: RawPeer;
  readonly #close: () => Promise<void>;

  private constructor(peer: RawPeer, close: () => Promise<void>) {
    this.peer = peer;
    this.#close = close;
  }

  static async of(device: MdevDevice): Promise<ConfigClient> {
    const [near, far] = socketPair();
    const server = serve(device, { fd: near });
    const peer = new RawPeer(far);
    await peer.negotiate();
    return new ConfigClient(peer, async () => {
      peer.close();
      await server.close();
      await device.close();
    });
  }

  /** The errno of a write of `size` bytes, 0 when it is accepted. */
  async write(offset: number, size: number, value: bigint): Promise<number> {
    const data = longs(value).subarray(0, size);
    const access = { offset: BigInt(offset), region: CONFIG_REGION, count: size };
    const reply = await this.peer.ask({ command: Command.regionWrite }, encodeRegionAccess(access, data));
    return reply?.header.errno ?? -1;
  }

  async read(offset: number, size: number): Promise<bigint> {
    const access = { offset: BigInt(offset), region: CONFIG_REGION, count: size };
    const reply = await this.peer.ask({ command: Command.regionRead }, encodeRegionAccess(access));
    if (reply?.body.length !== REGION_ACCESS_SIZE + size)
      throw new Error(`the read was refused: ${reply?.header.errno}`);
    const bytes = new Uint8Array(8);
    bytes.set(reply.body.subarray(REGION_ACCESS_SIZE));
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  /** The size that GET_REGION_INFO tells of the config space. */
  async size(): Promise<bigint> {
    const body = new Uint8Array(32);
    body.set(words(32, 0, CONFIG_REGION, 0));
    const reply = await this.peer.ask({ command: Command.deviceGetRegionInfo }, body);
    const info = reply?.body ?? new Uint8Array(32);
    return new DataView(info.buffer, info.byteOffset, info.length).getBigUint64(16, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
