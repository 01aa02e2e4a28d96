/**
 * How a page request is answered (PCI Express Base Specification 5.0, 10.4.2.2).
 *
 * - `success`: the pages are there; the device tries again.
 * - `invalid`: they are not, and will not be: the access is a fault.
 * - `failure`: nobody can say. From a VMM it means that page requests have ended for the whole function, until the guest enables them again.
 */
export type PageResponse = 'success' | 'invalid' | 'failure';

/** What a device asks for: a group of pages, answered as a whole. */
export interface PageRequest {
  /** The PASID of the access. */
  readonly pasid: number;
  /** An address in the first page. */
  readonly iova: bigint;
  /** Pages of 4 KiB, one after the other; 1 when absent. */
  readonly pages?: number;
  /** The access: "r" (when absent), "w" or "rw". */
  readonly access?: 'r' | 'w' | 'rw';
  /** The access is a privileged one; false when absent. */
  readonly privileged?: boolean;
}

/** The same as a VMM gets it. */
export interface PageRequestGroup {
  /** Index of the page request group, 0 to 511, by which it is answered. */
  readonly group: number;
  readonly pasid: number;
  /** The first page; a multiple of 4,096. */
  readonly iova: bigint;
  /** Pages of 4 KiB. */
  readonly pages: number;
  readonly access: 'r' | 'w' | 'rw';
  readonly privileged: boolean;
}

/** Bytes of a page that is asked for. */
export const PAGE_REQUEST_BYTES = 4096n;

/** Page request group indices have 9 bits. */
export const PAGE_REQUEST_GROUPS = 512;
