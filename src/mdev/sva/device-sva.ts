import { constants } from 'node:os';

import { type CopyTurns, DeviceDma } from '../dma/device-dma.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { InstanceSva } from './instance-sva.ts';
import type { PageRequest, PageResponse } from './page-request.ts';

const { ENOTCONN } = constants.errno;

/** What a {@link DeviceSva} belongs to. */
export interface DeviceSvaParts {
  /** Undefined when its type has none. */
  readonly sva: InstanceSva | undefined;
  /** For messages: "instance 5f1c… (dsa0, dsa-cfg-v1)". */
  readonly who: string;
  readonly type: string;
  /** Ends when the instance does. */
  readonly life: AbortSignal;
  readonly turns: CopyTurns;
}

/**
 * The device's side of its PASIDs. Engines in C++ find the same address spaces by `DeviceCore::pasids()`.
 *
 * Every method throws an `MdevError` `EOPNOTSUPP` when the type declares no `sva`.
 */
export class DeviceSva {
  readonly #parts: DeviceSvaParts;

  /** @internal */
  constructor(parts: DeviceSvaParts) {
    this.#parts = parts;
  }

  /** Whether the type declares `sva`. */
  get supported(): boolean {
    return this.#parts.sva !== undefined;
  }

  /** Whether a PASID has an address space. @throws `MdevError` `EOPNOTSUPP`. */
  isAttached(pasid: number): boolean {
    return this.#open().pasids.isAttached(pasid);
  }

  /**
   * The memory behind a PASID, as `MdevServices.dma` is that of the device itself. Its transfers fail with `EFAULT` also while the PASID is not attached,
   * and while the guest has not enabled PASIDs or bus master.
   * @throws `MdevError` `EOPNOTSUPP`.
   */
  dma(pasid: number): DeviceDma {
    const { table } = this.#open();
    const { life, turns } = this.#parts;
    const space = {
      dmaRead: (iova: bigint, into: Uint8Array) => table.read(pasid, iova, into),
      dmaWrite: (iova: bigint, from: Uint8Array) => table.write(pasid, iova, from),
      // No message carries a PASID.
      dmaExtent: () => 0,
      dmaTransfer: () => ENOTCONN,
    };
    return new DeviceDma(space, life, { turns, name: `memory of PASID ${pasid}` });
  }

  /**
   * Asks the VMM for pages that an access by PASID has not found. Resolves with its answer, once, and never waits for long: what nobody can answer is
   * refused at once, what nobody answers in time later. `failure` is also the answer while the guest has not enabled page requests (PASID, ATS, PRI, bus
   * master), beyond what it allows at a time, to an instance that is served over vfio-user, and when the instance is reset, frozen or closed, or its client
   * or the PASID goes meanwhile; `invalid` that for a PASID that is not attached.
   * @throws `MdevError` `EOPNOTSUPP` also when the type has no PRI capability; `EINVAL`.
   */
  async pageRequest(request: PageRequest): Promise<PageResponse> {
    const sva = this.#open();
    if (sva.limits.pageRequestCapacity === undefined) {
      throw new MdevError('EOPNOTSUPP', `${this.#parts.who}: type ${this.#parts.type} has no PRI capability`);
    }
    return await new Promise((resolve) => {
      sva.requests.ask(request, resolve);
    });
  }

  #open(): InstanceSva {
    const { sva, type, who } = this.#parts;
    if (sva !== undefined) return sva;
    throw new MdevError('EOPNOTSUPP', `${who}: type ${type} declares no sva`);
  }
}
