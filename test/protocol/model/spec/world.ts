/** What lies outside of the device and changes with it: what a VMM can look at. */

/** What a file descriptor that a client sends refers to. */
export type Handle =
  | { readonly kind: 'event'; readonly index: number }
  | { readonly kind: 'memory'; readonly index: number; readonly writable: boolean }
  /** Neither: an end of a pipe. */
  | { readonly kind: 'other' };

/** eventfds that interrupts are signalled with, and after them those that unmask INTx. */
export const LINES = 5;
export const UNMASKS = 2;
export const EVENTS = LINES + UNMASKS;
/** Memory files of a guest, and their sizes in pages. */
export const FILE_PAGES = [4, 2] as const;
const PAGE = 4096;

export class World {
  readonly counters: number[] = Array.from({ length: EVENTS }, () => 0);
  readonly files: readonly Uint8Array[] = FILE_PAGES.map((pages) => new Uint8Array(pages * PAGE));

  signal(event: number | undefined): void {
    if (event === undefined) return;
    this.counters[event] = (this.counters[event] ?? 0) + 1;
  }
}
