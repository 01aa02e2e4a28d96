import { addon } from './addon.ts';

/** An eventfd(2) of our own, non-blocking. */
export interface EventFd {
  /** The descriptor; -1 after `close`. */
  readonly fd: number;
  /** Adds 1 to the counter. @throws Error with `code` `EBADF` after {@link close}. */
  signal(): void;
  /** The counter, which becomes 0. Does not wait: 0 when nothing was signalled. */
  read(): number;
  /** Calls back with the counter whenever it is not 0, and resets it. Keeps the event loop alive. Null stops. */
  onSignal(callback: ((count: number) => void) | null): void;
  /** Lets the event loop end although a callback waits. */
  unref(): void;
  /** Closes the descriptor and ends the callback. Idempotent. */
  close(): void;
}

const native = addon as { readonly EventFd: new () => EventFd; readonly signalFd: (fd: number) => void };

/**
 * Makes an eventfd.
 *
 * @throws Error with a `code`: `EMFILE`, `ENFILE`, `ENOMEM`.
 */
export function eventfd(): EventFd {
  return new native.EventFd();
}

/** Adds 1 to an eventfd that has no {@link EventFd}. Throws an Error with `code` EINVAL for any other descriptor. */
export const signalFd = native.signalFd;
