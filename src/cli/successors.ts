import { type InstanceFacts, listenForSuccessor, type Server, type SuccessorListener } from '../vfio-user/index.ts';
import { HandoverFailure } from './handover.ts';
import { tell } from './messages.ts';

/** Between two attempts to listen, milliseconds: twice as long each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

/** Listens at a path for the process that is to take over from a server, and tells the operator what becomes of it. */
export class Successors {
  readonly #server: Server;
  readonly #path: string;
  readonly #instance: InstanceFacts;
  #isTold = false;

  constructor(server: Server, path: string, instance: InstanceFacts) {
    this.#server = server;
    this.#path = path;
    this.#instance = instance;
  }

  /** Listens. @throws HandoverFailure that names the path. */
  listen(): void {
    try {
      this.#tellOf(listenForSuccessor(this.#server, this.#path, { instance: this.#instance }));
    } catch (error) {
      throw new HandoverFailure(`cannot wait for a successor at --handover ${this.#path}`, error);
    }
  }

  /** Listens, now or when that becomes possible: a server that has clients goes on without, and says so. */
  listenSoon(): void {
    this.#try(FIRST_PAUSE_MS);
  }

  #try(pause: number): void {
    try {
      this.listen();
      if (this.#isTold) tell(`a successor can come to ${this.#path}`);
      return;
    } catch (error) {
      // Not the first time: the server before this one may be there for a moment.
      if (!this.#isTold && pause > FIRST_PAUSE_MS) {
        tell(`${textOf(error)}; this process serves all the same, and tries again`);
        this.#isTold = true;
      }
    }
    const timer = setTimeout(() => {
      if (!this.#server.isClosed) this.#try(Math.min(2 * pause, LONGEST_PAUSE_MS));
    }, pause);
    timer.unref();
  }

  #tellOf(listener: SuccessorListener): void {
    listener.on('began', (successor) => {
      tell(`${successor} wants to take over`);
    });
    listener.on('handedOver', (successor) => {
      tell(`handed over to ${successor}; this process ends`);
    });
    listener.on('failed', (successor, error) => {
      tell(`not handed over to ${successor}: ${textOf(error)}; this process goes on`);
    });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
