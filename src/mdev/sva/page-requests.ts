import { guarded } from '../base/guarded.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { PAGE_REQUEST_BYTES, type PageRequest, type PageRequestGroup, type PageResponse } from './page-request.ts';
import { PageRequestQueue } from './page-request-queue.ts';
import type { SvaControls } from './sva-controls.ts';
import type { SvaLimits } from './sva-declaration.ts';

/** Told of each page request of an instance. What it throws is an uncaught exception, and the request is refused. */
export type PageRequestListener = (request: PageRequestGroup) => void;

/** Whose {@link PageRequests} they are. */
export interface PageRequestOwner {
  /** For messages. */
  readonly who: string;
  readonly limits: SvaLimits;
  readonly controls: SvaControls;
  /** Whether the device may use PASIDs now. */
  reachable(): boolean;
  isAttached(pasid: number): boolean;
}

/** The page requests of one instance: what is not put to its VMM is refused at once. */
export class PageRequests {
  readonly #owner: PageRequestOwner;
  readonly #queue: PageRequestQueue;
  #listener: PageRequestListener | undefined;

  constructor(owner: PageRequestOwner) {
    this.#owner = owner;
    this.#queue = new PageRequestQueue(owner.limits.pageRequestTimeout, () => {
      if (this.#queue.pages === 0) owner.controls.drained();
    });
  }

  /** Pages that are asked for. */
  get outstanding(): number {
    return this.#queue.pages;
  }

  /**
   * Asks, and tells the answer: exactly once, perhaps before this returns.
   * @throws {@link MdevError} `EINVAL` for what cannot be asked for.
   */
  ask(request: PageRequest, answer: (response: PageResponse) => void): void {
    const asked = complete(request);
    const { controls } = this.#owner;
    const listener = this.#listener;
    if (!this.#owner.reachable() || !controls.pageRequests || listener === undefined) {
      answer('failure');
    } else if (!this.#owner.isAttached(asked.pasid)) {
      answer('invalid');
    } else if (!this.#queue.fits(asked.pages, controls.allocation)) {
      answer('failure');
    } else {
      this.#tell(listener, this.#queue.add(asked, answer));
    }
  }

  /** @throws {@link MdevError} see `SessionSva.respond`. */
  respond(group: number, response: PageResponse): void {
    const { controls, who } = this.#owner;
    if (!isResponse(response)) {
      throw new MdevError('EINVAL', `the response is ${String(response)}; expected success, invalid or failure`);
    }
    if (!this.#queue.holds(group)) {
      controls.responseUnexpected();
      throw new MdevError('ENOENT', `no page request of group ${group} of ${who} is outstanding`);
    }
    if (response !== 'failure') {
      this.#queue.answer(group, response);
      return;
    }
    // The function listens to no other answer until the guest enables page requests again.
    controls.responseFailed();
    this.refuse();
  }

  /** @throws {@link MdevError} `EBUSY` when there is a listener. */
  listen(listener: PageRequestListener): Disposable {
    if (this.#listener !== undefined) {
      throw new MdevError('EBUSY', `the page requests of ${this.#owner.who} are listened to already`);
    }
    // The same function may listen again later.
    const own: PageRequestListener = (request) => {
      listener(request);
    };
    this.#listener = own;
    return {
      [Symbol.dispose]: () => {
        if (this.#listener === own) this.ignore();
      },
    };
  }

  /** Nobody listens any more. */
  ignore(): void {
    this.#listener = undefined;
    this.refuse();
  }

  /** Refuses what is outstanding, of a PASID or all of it. */
  refuse(pasid?: number): void {
    this.#queue.end('failure', pasid);
  }

  #tell(listener: PageRequestListener, request: PageRequestGroup): void {
    const told = { done: false };
    guarded(() => {
      listener(request);
      told.done = true;
    });
    if (!told.done && this.#queue.has(request)) this.#queue.answer(request.group, 'failure');
  }
}

function complete(request: PageRequest): Omit<PageRequestGroup, 'group'> {
  const { access = 'r', iova, pages = 1, pasid, privileged = false } = request;
  const first = iova - (iova % PAGE_REQUEST_BYTES);
  if (!Number.isInteger(pages) || pages < 1 || pages > 2 ** 32) {
    throw new MdevError('EINVAL', `page request: pages is ${pages}; expected an integer from 1 to 2^32`);
  }
  if (iova < 0n || first + BigInt(pages) * PAGE_REQUEST_BYTES > 1n << 64n) {
    throw new MdevError('EINVAL', `page request: ${pages} pages at 0x${iova.toString(16)} are not within 64 bits`);
  }
  return { pasid, iova: first, pages, access, privileged };
}

function isResponse(response: unknown): response is PageResponse {
  return response === 'success' || response === 'invalid' || response === 'failure';
}
