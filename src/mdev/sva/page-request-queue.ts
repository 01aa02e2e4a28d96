import { PAGE_REQUEST_GROUPS, type PageRequestGroup, type PageResponse } from './page-request.ts';

interface Outstanding {
  readonly request: PageRequestGroup;
  readonly answer: (response: PageResponse) => void;
  readonly timer: NodeJS.Timeout;
}

/** Page requests that wait for their answer: each gets exactly one, after `timeout` milliseconds at the latest. */
export class PageRequestQueue {
  readonly #timeout: number;
  readonly #changed: () => void;
  readonly #outstanding = new Map<number, Outstanding>();
  #pages = 0;
  #next = 0;

  /** @param changed told after requests were answered. */
  constructor(timeout: number, changed: () => void) {
    this.#timeout = timeout;
    this.#changed = changed;
  }

  /** Pages that are asked for. */
  get pages(): number {
    return this.#pages;
  }

  /** Whether a request for so many pages fits, when `allocation` pages may be asked for at a time. */
  fits(pages: number, allocation: number): boolean {
    return this.#pages + pages <= allocation && this.#outstanding.size < PAGE_REQUEST_GROUPS;
  }

  /** Adds a request that {@link fits}. */
  add(request: Omit<PageRequestGroup, 'group'>, answer: (response: PageResponse) => void): PageRequestGroup {
    while (this.#outstanding.has(this.#next)) this.#next = (this.#next + 1) % PAGE_REQUEST_GROUPS;
    const group = this.#next;
    this.#next = (group + 1) % PAGE_REQUEST_GROUPS;
    const added = Object.freeze({ ...request, group });
    const timer = setTimeout(() => {
      this.answer(group, 'failure');
    }, this.#timeout);
    this.#outstanding.set(group, { request: added, answer, timer });
    this.#pages += request.pages;
    return added;
  }

  /** Whether this very request is still outstanding: its index may be another's by now. */
  has(request: PageRequestGroup): boolean {
    return this.#outstanding.get(request.group)?.request === request;
  }

  /** Whether a request of this index is outstanding. */
  holds(group: number): boolean {
    return this.#outstanding.has(group);
  }

  /** Answers a group, if it is outstanding. */
  answer(group: number, response: PageResponse): void {
    const found = this.#outstanding.get(group);
    if (found !== undefined) this.#end([found], response);
  }

  /** Answers all that are of a PASID; all when absent. */
  end(response: PageResponse, pasid?: number): void {
    const all = [...this.#outstanding.values()];
    this.#end(pasid === undefined ? all : all.filter(({ request }) => request.pasid === pasid), response);
  }

  #end(requests: readonly Outstanding[], response: PageResponse): void {
    if (requests.length === 0) return;
    for (const { request, timer } of requests) {
      clearTimeout(timer);
      this.#outstanding.delete(request.group);
      this.#pages -= request.pages;
    }
    this.#changed();
    // Last: whoever is answered may ask again.
    for (const { answer } of requests) answer(response);
  }
}
