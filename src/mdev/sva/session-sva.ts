import { MdevError } from '../errors/mdev-error.ts';
import { MigrationState } from '../migration/migration.ts';
import { failing } from '../session/answers.ts';
import type { SessionInstance } from '../session/session-instance.ts';
import { checkAddress } from '../vfio/vfio-requests.ts';
import type { AddressSpace } from './address-space.ts';
import type { InstanceSva } from './instance-sva.ts';
import type { PageResponse } from './page-request.ts';
import type { PageRequestListener } from './page-requests.ts';
import type { Invalidation } from './sva-behaviour.ts';

/** What an instance has of shared virtual addressing. */
export interface SvaInfo {
  /** Bits of a PASID. */
  readonly pasidBits: number;
  /** PASIDs that may still be allocated. */
  readonly pasidsAvailable: number;
  /** Pages that may be asked for at a time, whatever the guest allows; undefined: it asks for none. */
  readonly pageRequestCapacity: number | undefined;
  /** Pages that are asked for now. */
  readonly pagesRequested: number;
}

/**
 * Shared virtual addressing of an instance, for the VMM in this process that holds it: PASIDs, the address space behind each, and page requests. All of it
 * ends with the session, but for the address spaces, which are the VMM's.
 *
 * Every method throws a `VfioError`: `EOPNOTSUPP` when the type declares no `sva`, `ENODEV` when the session has ended. A PASID that is none is `EINVAL`,
 * one that is not allocated `ENOENT`.
 */
export class SessionSva {
  readonly #instance: SessionInstance;

  /** @internal */
  constructor(instance: SessionInstance) {
    this.#instance = instance;
  }

  /** What it has, and how much of it is left. @throws `VfioError` as every method. */
  info(): SvaInfo {
    return this.#do('svaInfo', ({ limits, pasids, requests }) => ({
      pasidBits: limits.pasidBits,
      pasidsAvailable: pasids.available,
      pageRequestCapacity: limits.pageRequestCapacity,
      pagesRequested: requests.outstanding,
    }));
  }

  /**
   * Allocates a PASID.
   * @param pasid that one, from 1 on (a guest that numbers its PASIDs itself); any when absent.
   * @throws `VfioError` `EEXIST` when it is allocated already; `ENOSPC` when the instance, or its parent, has no more, which says who has how many.
   */
  allocatePasid(pasid?: number): number {
    return this.#do('allocatePasid', ({ pasids }) => pasids.allocate(pasid));
  }

  /** Gives a PASID back. @throws `VfioError` `EBUSY` while it has an address space, which it names. */
  releasePasid(pasid: number): void {
    this.#do('releasePasid', ({ pasids }) => {
      pasids.release(pasid);
    });
  }

  /**
   * Puts an address space behind a PASID (VFIO_DEVICE_ATTACH_IOMMUFD_PT with VFIO_DEVICE_ATTACH_PASID).
   * @throws `VfioError` `EBUSY` when it has one, which it names ({@link replace} exchanges it), and while the instance is migrated; `ENODEV` when the space
   * is closed.
   */
  attach(pasid: number, space: AddressSpace): void {
    this.#do('attachPasid', ({ pasids }) => {
      this.#checkStays();
      pasids.attach(pasid, space);
    });
  }

  /**
   * Puts another address space behind a PASID: the device finds the one or the other, and never none. When it returns nobody uses the earlier one by this
   * PASID any more, and its page requests are refused.
   * @throws `VfioError` `ENOENT` when it has none; `ENODEV` when the space is closed.
   */
  replace(pasid: number, space: AddressSpace): void {
    this.#do('attachPasid', ({ pasids }) => {
      pasids.replace(pasid, space);
    });
  }

  /**
   * Takes the address space from a PASID. When it returns nobody uses the space by this PASID any more, and its page requests are refused.
   * @throws `VfioError` `ENOENT` when it has none.
   */
  detach(pasid: number): void {
    this.#do('detachPasid', ({ pasids }) => {
      pasids.detach(pasid);
    });
  }

  /**
   * IOTLB invalidation: the VMM has changed what addresses mean. When it returns no engine works with a translation that it found before, and the device
   * has dropped those that it keeps. `AddressSpace.dmaUnmap` does it by itself.
   * @param what all of all PASIDs when empty.
   * @throws `VfioError` `ENOENT` when the PASID has no address space; `EINVAL` for a range that is none.
   */
  invalidate(what: Invalidation = {}): void {
    this.#do('invalidate', ({ pasids }) => {
      const { iova, size } = what;
      if ((iova === undefined) !== (size === undefined)) {
        throw new MdevError('EINVAL', 'invalidate: a range needs iova and size');
      }
      if (iova !== undefined) checkAddress('invalidate', 'iova', iova);
      if (size !== undefined) checkAddress('invalidate', 'size', size);
      pasids.invalidate(what);
    });
  }

  /**
   * Listens to the device's page requests, each of which is to be answered by {@link respond}: at once, or later. Without a listener they are refused.
   * @returns what ends it: what is outstanding is refused then.
   * @throws `VfioError` `EBUSY` when there is a listener already; `EOPNOTSUPP` also when the type has no PRI capability.
   */
  onPageRequest(listener: PageRequestListener): Disposable {
    return this.#do('onPageRequest', ({ limits, requests }) => {
      if (limits.pageRequestCapacity === undefined) {
        throw new MdevError('EOPNOTSUPP', `type ${this.#instance.type} has no PRI capability`);
      }
      return requests.listen(listener);
    });
  }

  /**
   * Answers a page request. `failure` ends page requests for the whole function: all that are outstanding fail, and new ones are refused, until the guest
   * enables them again (PRI.STATUS.responseFailure).
   * @param group the index that the request came with.
   * @throws `VfioError` `ENOENT` when it is not outstanding: it was answered, or refused meanwhile. The guest sees PRI.STATUS.unexpectedGroupIndex then.
   */
  respond(group: number, response: PageResponse): void {
    this.#do('pageResponse', ({ requests }) => {
      requests.respond(group, response);
    });
  }

  #checkStays(): void {
    const state = this.#instance.migration('attachPasid')?.state ?? MigrationState.running;
    if (state === MigrationState.running) return;
    throw new MdevError('EBUSY', 'the instance is being migrated, and PASIDs do not migrate');
  }

  #do<T>(request: string, action: (sva: InstanceSva) => T): T {
    return failing(request, () => {
      const sva = this.#instance.sva(request);
      if (sva === undefined) throw new MdevError('EOPNOTSUPP', `type ${this.#instance.type} declares no sva`);
      return action(sva);
    });
  }
}
