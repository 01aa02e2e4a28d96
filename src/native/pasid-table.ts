import { addon } from './addon.ts';
import type { DeviceCore } from './device-core/device-core.ts';

declare const opaque: unique symbol;

/** Page requests of engines. Called on the owner's thread, from the event loop, which it does not keep alive. */
export interface PageRequestHandler {
  /**
   * One page request, to be answered once by `respond`: at once, or later. What it throws is an uncaught exception of the process, and the request is refused.
   *
   * @param rights 1 read, 2 write.
   */
  request(number: number, pasid: number, iova: bigint, pages: number, rights: number, privileged: boolean): void;
}

/**
 * The address spaces of one device by PASID, 0 to 2^20 - 1: engines find them without a lock. A space is the guest memory of a `DeviceCore` that
 * has nothing else. Methods that return a number return 0 or an errno; on error nothing changed.
 */
export interface PasidTable {
  readonly [opaque]: 'PasidTable';

  /** @returns 0, EEXIST (attached already), ENOMEM. */
  attach(pasid: number, space: DeviceCore): number;
  /** Another space in the same place; nobody uses the earlier one by this PASID when it returns. @returns 0, ENOENT. */
  replace(pasid: number, space: DeviceCore): number;
  /** Nobody uses the space by this PASID when it returns. @returns 0, ENOENT. */
  detach(pasid: number): number;
  /** The same for all of them. */
  detachAll(): void;
  /** While not, every access by PASID faults. It is not at first. */
  setReachable(reachable: boolean): void;
  /** Nobody uses what he found before when it returns, and what engines keep is void. */
  invalidate(): void;
  /** Copies memory behind a PASID. EFAULT: nothing there, no right, not attached, not reachable. A first part may have been copied then. */
  read(pasid: number, iova: bigint, into: Uint8Array): number;
  write(pasid: number, iova: bigint, from: Uint8Array): number;
  /** Answers an engine's page request: 0 success, 1 invalid, 15 failure. @returns whether it waited for an answer. */
  respond(number: number, response: number): boolean;
  /** Nothing is attached any more, and engines' page requests are refused. Idempotent. */
  close(): void;
}

const native = addon as {
  readonly PasidTable: new (core: DeviceCore, handler: PageRequestHandler | null) => PasidTable;
};

/**
 * Makes the table of a device, which its engines find there from now on. Nothing is reachable by PASID at first.
 * @param handler what engines' page requests go to; null: they cannot ask.
 */
export function createPasidTable(core: DeviceCore, handler: PageRequestHandler | null): PasidTable {
  return new native.PasidTable(core, handler);
}
