import { EventEmitter } from 'eventemitter3';

import { createListener, type NativeListener, peerProcess } from '../native.ts';
import type { Server } from '../server/server.ts';
import { checkHandOverOptions, type HandOverOptions } from './give.ts';
import { HandoverError } from './handover-error.ts';

/** What a {@link SuccessorListener} tells. */
export interface SuccessorEvents {
  /** A process has come to take over; nothing has moved yet. */
  began: [successor: string];
  /** That process has it all: the server is closed, and so is this. */
  handedOver: [successor: string];
  /** It did not come about, and the server goes on. The error is a `HandoverError`, mostly. */
  failed: [successor: string, error: unknown];
}

/** Waits at a path for the process that is to take a server's place. Made by {@link listenForSuccessor}. */
export class SuccessorListener extends EventEmitter<SuccessorEvents> implements Disposable {
  readonly #listener: NativeListener;
  #retry: NodeJS.Timeout | undefined;

  /** @internal */
  constructor(server: Server, path: string, options: HandOverOptions) {
    super();
    checkHandOverOptions(options);
    if (server.isClosed) throw new HandoverError('EBUSY', `nobody can come to ${path}: the server is closed`);
    this.#listener = createListener(path, {
      connection: (fd) => {
        const successor = nameOf(fd);
        this.emit('began', successor);
        server.handOver(fd, options).then(
          () => {
            this.emit('handedOver', successor);
          },
          (error: unknown) => {
            this.emit('failed', successor, error);
          },
        );
      },
      failed: (code) => {
        // Without a descriptor to spare there is no handover either: whoever waits is taken when one is free.
        this.emit('failed', 'a successor that waits', new Error(`it cannot be accepted: ${code}`));
        this.#retry = setTimeout(() => {
          this.#listener.resume();
        }, ACCEPT_RETRY_MS).unref();
      },
    });
    // At once: the successor is told that this process is done, and listens here itself.
    server.once('closed', () => {
      this.close();
    });
  }

  /** Stops listening and removes the path. Repeats do nothing. */
  close(): void {
    clearTimeout(this.#retry);
    this.#listener.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const ACCEPT_RETRY_MS = 1000;

function nameOf(fd: number): string {
  try {
    return `process ${peerProcess(fd)}`;
  } catch {
    return 'a process that is gone';
  }
}

/**
 * Lets a process of the same user take a server's place: it listens at `path` (a new socket that is open to its owner alone, at most 107 bytes), and
 * whoever connects there with `requestHandover` is handed the server over. It closes with the server.
 *
 * @throws Error with a `code` that names the path: see `serve`; {@link HandoverError} `EBUSY` when the server is closed; `MdevError` `EINVAL` for an
 * option out of range. Nothing is listened at then.
 */
export function listenForSuccessor(server: Server, path: string, options: HandOverOptions = {}): SuccessorListener {
  return new SuccessorListener(server, path, options);
}
