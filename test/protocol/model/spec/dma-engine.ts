import type { DmaChannel } from './dma-channel.ts';
import { type GuestMemory, Right } from './guest-memory.ts';
import { Errno } from './wire.ts';

/** A copy that the device was told to make, and what became of it. */
export interface Transfer {
  readonly write: boolean;
  /** 0, EFAULT or ECANCELED; undefined while it goes on. */
  errno: number | undefined;
  /** What was read, once it was. */
  data: Uint8Array | undefined;
}

const ADDRESSES = 1n << 64n;

/** The device's DMA: map after map, by copy where there is a file and by message where there is none. */
export class DmaEngine {
  readonly transfers: Transfer[] = [];
  channel: DmaChannel | undefined;
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  start(write: boolean, address: bigint, bytes: Uint8Array): void {
    const transfer: Transfer = { write, errno: undefined, data: undefined };
    this.transfers.push(transfer);
    if (address + BigInt(bytes.length) > ADDRESSES) transfer.errno = Errno.EINVAL;
    else this.#advance(transfer, address, bytes, 0);
  }

  /** Memory is out of reach from now on, or the client has gone: nothing can be answered any more. */
  cancelAll(): void {
    this.channel?.cancel(0n, ADDRESSES - 1n);
  }

  #advance(transfer: Transfer, address: bigint, bytes: Uint8Array, from: number): void {
    const right = transfer.write ? Right.write : Right.read;
    const end = (errno: number): void => {
      transfer.errno = errno;
      if (!transfer.write && errno === 0) transfer.data = bytes;
    };
    for (let done = from; done < bytes.length;) {
      const at = address + BigInt(done);
      const rest = bytes.length - done;
      const map = this.#memory.find(at, right);
      const asked = map === undefined && this.#asksForAll;
      if (map === undefined && !asked) {
        end(Errno.EFAULT);
        return;
      }
      const left = map === undefined ? rest : Number(map.last - at) + 1;
      const piece = bytes.subarray(done, done + Math.min(rest, left));
      done += piece.length;
      if (map?.file !== undefined) {
        this.#memory.copy(at, piece, right);
        continue;
      }
      const behind = done;
      this.channel?.submit(transfer.write, at, piece, (errno) => {
        if (errno === 0) this.#advance(transfer, address, bytes, behind);
        else end(errno);
      });
      return;
    }
    end(0);
  }

  /** Decision 11: a client that has mapped nothing at all is asked. */
  get #asksForAll(): boolean {
    return this.channel !== undefined && this.#memory.reachable && this.#memory.maps.length === 0;
  }
}
