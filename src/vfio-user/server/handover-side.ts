import type { HandoverSubject } from '../handover/handover-subject.ts';
import type { ClientListener } from './client-listener.ts';
import type { Clients } from './clients.ts';
import type { ServedConnection } from './served-connection.ts';
import type { ServedDevice } from './served-device.ts';

/** What a server's handover side acts on. */
export interface HandoverParts {
  readonly device: ServedDevice;
  readonly socketPath: string | undefined;
  readonly clients: Clients;
  readonly listener: ClientListener | undefined;
  /** Takes clients again, unless the server is closed. */
  readonly resume: () => void;
  readonly close: (reason: string) => void;
  readonly handedOver: () => void;
}

/** A server as a handover sees it: it can stand still, and then go on or be another process's. */
export class HandoverSide implements HandoverSubject {
  readonly #parts: HandoverParts;
  #preparing: ((reason: string) => void) | undefined;
  #interrupted: ((reason: string) => void) | undefined;
  /** Why the server is closed. */
  #closed: string | undefined;
  /** It is being decided which process goes on. */
  #isDeciding = false;
  /** Why the server is to be closed when that is decided for this one. */
  #closing: string | undefined;

  constructor(parts: HandoverParts) {
    this.#parts = parts;
  }

  get device(): ServedDevice {
    return this.#parts.device;
  }

  get socketPath(): string | undefined {
    return this.#parts.socketPath;
  }

  get listener(): number {
    return this.#parts.listener?.descriptor ?? -1;
  }

  get connections(): readonly ServedConnection[] {
    return this.#parts.clients.connections;
  }

  prepare(closed: ((reason: string) => void) | undefined): void {
    this.#preparing = closed;
  }

  pause(left: (reason: string) => void): void {
    this.#interrupted = left;
    if (this.#closed !== undefined) left(this.#closed);
    this.#parts.listener?.pause();
    this.#parts.clients.stopTimers();
  }

  decide(): void {
    this.#isDeciding = true;
  }

  resume(): void {
    this.#interrupted = undefined;
    this.#isDeciding = false;
    if (this.#closing === undefined) this.#parts.resume();
    else this.#parts.close(this.#closing);
  }

  handedOver(): void {
    this.#interrupted = undefined;
    this.#isDeciding = false;
    this.#parts.handedOver();
  }

  /** Whether the server cannot be closed yet, because it is being decided who goes on: it is closed then, if it is this one. */
  postpones(reason: string): boolean {
    if (this.#isDeciding) this.#closing ??= reason;
    return this.#isDeciding;
  }

  /** The server is closed: no successor comes. */
  closed(reason: string): void {
    this.#closed = reason;
    this.#preparing?.(reason);
    this.interrupt(reason);
  }

  /** What calls a handover off, if one has everything standing still: the client left, or the server is closed. */
  interrupt(reason: string): void {
    this.#interrupted?.(reason);
  }
}
