/** What portals do with writes, byte by byte (DSA specification 3.3, 5.3 and 9.3; decisions 14 and 20). No engine takes anything by itself here. */

const SLOT = 64;
const PAGE = 4096;
const PAGES_OF_QUEUE = 4;
/** Those whose completions raise MSI-X. */
const OPEN_PAGES = 2;
const EAGAIN = 11;

interface Slot {
  /** Bytes of a descriptor that is not complete. */
  present: Set<number>;
  /** The last descriptor was taken by a shared queue. */
  taken: boolean;
}

export class ModelQueue {
  mode: 'off' | 'dedicated' | 'shared' = 'off';
  size = 0;
  threshold = 0;
  waiting = 0;
  submitted = 0;
  dropped = 0;
  full = 0;
  retried = 0;
  readonly slots: readonly Slot[] = Array.from({ length: (OPEN_PAGES * PAGE) / SLOT }, () => ({
    present: new Set<number>(),
    taken: false,
  }));

  enable(mode: 'dedicated' | 'shared', size: number, threshold: number): void {
    Object.assign(this, { mode, size, threshold, waiting: 0 });
    this.forget(true);
  }

  stop(): void {
    this.mode = 'off';
    this.forget(false);
  }

  forget(answers: boolean): void {
    for (const slot of this.slots) {
      slot.present.clear();
      if (answers) slot.taken = false;
    }
  }

  /** A descriptor is complete. @returns whether its submitter need not try again. */
  arrive(limited: boolean): boolean {
    const limit = limited && this.mode === 'shared' ? Math.min(this.threshold, this.size) : this.size;
    if (this.waiting < limit) {
      this.waiting += 1;
      this.submitted += 1;
      return true;
    }
    if (this.mode === 'shared') this.retried += 1;
    else this.full += 1;
    return false;
  }
}

export class ModelPortals {
  readonly queues: readonly ModelQueue[];

  constructor(queues: number) {
    this.queues = Array.from({ length: queues }, () => new ModelQueue());
  }

  /** @returns the errno that who waits for an answer gets; 0 for others. */
  write(offset: number, length: number, posted: boolean): number {
    const whole = length === SLOT && offset % SLOT === 0;
    if (whole && !posted) return this.#deferrable(offset) ? 0 : EAGAIN;
    for (let at = offset; at < offset + length;) {
      const end = Math.min(offset + length, (Math.floor(at / SLOT) + 1) * SLOT);
      const place = this.#place(at);
      if (place !== undefined) this.#store(place.queue, place.slot, place.limited, at % SLOT, end - at, whole);
      at = end;
    }
    return 0;
  }

  /** The byte that is read there. */
  read(offset: number): number {
    return this.#place(offset)?.slot.taken === true ? 0 : 0xff;
  }

  #deferrable(offset: number): boolean {
    const place = this.#place(offset);
    if (place === undefined) return false;
    const { limited, queue, slot } = place;
    slot.taken = false;
    if (queue.mode !== 'shared') {
      queue.retried += 1;
      return false;
    }
    if (slot.present.size > 0) queue.dropped += 1;
    slot.present.clear();
    slot.taken = queue.arrive(limited);
    return slot.taken;
  }

  #store(queue: ModelQueue, slot: Slot, limited: boolean, first: number, length: number, whole: boolean): void {
    slot.taken = false;
    if (queue.mode === 'off' || (queue.mode === 'shared' && whole)) {
      queue.dropped += 1;
      slot.present.clear();
      return;
    }
    const bytes = Array.from({ length }, (_, index) => first + index);
    const completes = new Set([...slot.present, ...bytes]).size === SLOT;
    if (bytes.some((byte) => slot.present.has(byte)) || (first === 0 && !completes)) {
      if (slot.present.size > 0) queue.dropped += 1;
      slot.present.clear();
    }
    for (const byte of bytes) slot.present.add(byte);
    if (slot.present.size < SLOT) return;
    slot.present.clear();
    const taken = queue.arrive(limited);
    slot.taken = taken && queue.mode === 'shared';
  }

  #place(offset: number): { queue: ModelQueue; slot: Slot; limited: boolean } | undefined {
    const queue = this.queues[Math.floor(offset / (PAGES_OF_QUEUE * PAGE))];
    const inQueue = offset % (PAGES_OF_QUEUE * PAGE);
    const slot = queue?.slots[Math.floor(inQueue / SLOT)];
    return queue && slot && { queue, slot, limited: inQueue >= PAGE };
  }
}
