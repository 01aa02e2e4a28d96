import type { HandoverSubject } from '../handover/handover-subject.ts';
import type { ServedConnection } from '../served-connection.ts';
import type { ServedDevice } from '../served-device.ts';
import type { ClientListener } from './client-listener.ts';
import type { Clients } from './clients.ts';

/** What a server's handover side acts on. */
export interface HandoverParts {
  readonly device: ServedDevice;
  readonly socketPath: string | undefined;
  readonly clients: Clients;
  readonly listener: ClientListener | undefined;
  /** Takes clients again, unless the server is closed. */
  readonly resume: () => void;
  readonly handedOver: () => void;
}

/** A server as a handover sees it: it can stand still, and then go on or be another process's. */
export class HandoverSide implements HandoverSubject {
  readonly #parts: HandoverParts;
  #interrupted: ((reason: string) => void) | undefined;

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

  pause(left: (reason: string) => void): void {
    this.#interrupted = left;
    this.#parts.listener?.pause();
    this.#parts.clients.stopTimers();
  }

  resume(): void {
    this.#interrupted = undefined;
    this.#parts.resume();
  }

  handedOver(): void {
    this.#interrupted = undefined;
    this.#parts.handedOver();
  }

  /** What calls a handover off, if one has everything standing still: a client left, or the server is closed. */
  interrupt(reason: string): void {
    this.#interrupted?.(reason);
  }
}
