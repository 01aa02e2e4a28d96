import type { World } from './world.ts';

export const Irq = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;
export const IRQS = 5;

interface Vector {
  event: number | undefined;
  latched: boolean;
  masked: boolean;
}

/** Vectors of one index. One that is raised while it cannot be delivered is latched. */
class Table {
  readonly vectors: readonly Vector[];
  readonly #world: World;
  allMasked = false;
  /** The device is paused, or writes no messages: everything is latched. */
  held = false;

  constructor(world: World, count: number) {
    this.#world = world;
    this.vectors = Array.from({ length: count }, () => ({ event: undefined, latched: false, masked: false }));
  }

  raise(number: number): void {
    const vector = this.vectors[number];
    if (vector === undefined) return;
    vector.latched = true;
    this.#deliver(vector);
  }

  /** What the client asks for itself: neither masked nor latched. */
  loopback(number: number): void {
    this.#world.signal(this.vectors[number]?.event);
  }

  assign(number: number, event: number | undefined): void {
    const vector = this.vectors[number];
    if (vector === undefined) return;
    vector.event = event;
    this.#deliver(vector);
  }

  mask(mask: number): void {
    this.vectors.forEach((vector, number) => {
      vector.masked = ((mask >> number) & 1) !== 0;
      this.#deliver(vector);
    });
  }

  maskAll(masked: boolean): void {
    this.allMasked = masked;
    this.#deliverAll();
  }

  hold(held: boolean): void {
    this.held = held;
    this.#deliverAll();
  }

  /** Eventfds go, what is latched stays. */
  disable(): void {
    for (const vector of this.vectors) vector.event = undefined;
  }

  /** What is latched goes, and masks; eventfds stay. */
  reset(): void {
    this.allMasked = false;
    for (const vector of this.vectors) vector.latched = vector.masked = false;
  }

  forget(): void {
    for (const vector of this.vectors) vector.latched = false;
  }

  get pending(): number {
    return this.vectors.reduce((bits, { latched }, number) => bits | (latched ? 1 << number : 0), 0);
  }

  #deliverAll(): void {
    for (const vector of this.vectors) this.#deliver(vector);
  }

  #deliver(vector: Vector): void {
    if (!vector.latched || this.held || this.allMasked || vector.masked || vector.event === undefined) return;
    vector.latched = false;
    this.#world.signal(vector.event);
  }
}

/** INTx: a level, which masks itself when it fires. */
class Line {
  readonly #world: World;
  event: number | undefined;
  unmaskEvent: number | undefined;
  masked = false;
  asserted = false;
  disabled = false;
  held = false;

  constructor(world: World) {
    this.#world = world;
  }

  deliver(): void {
    if (!this.asserted || this.held || this.masked || this.disabled || this.event === undefined) return;
    this.masked = true;
    this.#world.signal(this.event);
  }

  loopback(): void {
    if (!this.disabled) this.#world.signal(this.event);
  }

  disable(): void {
    this.event = this.unmaskEvent = undefined;
    this.masked = false;
  }
}

/** What a migration carries of interrupts. */
export interface IrqState {
  readonly asserted: boolean;
  readonly disabled: boolean;
  readonly tables: readonly {
    readonly allMasked: boolean;
    readonly vectors: readonly Pick<Vector, 'latched' | 'masked'>[];
  }[];
}

/** All interrupts of a device. At most one of INTx, MSI and MSI-X is enabled. */
export class Interrupts {
  readonly line: Line;
  readonly tables: readonly Table[];
  enabled: number | undefined;
  /** Vectors of the enabled index that eventfds were given for. */
  enabledVectors = 0;
  /** MSI messages that the guest gave the function; undefined while it has not enabled MSI. */
  granted: number | undefined;
  #paused = false;
  #silent = false;

  constructor(world: World, msi: number, msix: number) {
    this.line = new Line(world);
    this.tables = [0, msi, msix, 1, 1].map((count) => new Table(world, count));
  }

  count(index: number): number {
    return index === Irq.intx ? 1 : (this.tables[index]?.vectors.length ?? 0);
  }

  table(index: number): Table {
    const table = this.tables[index];
    if (table === undefined) throw new Error(`there is no irq index ${index}`);
    return table;
  }

  /** The device raises a vector. */
  raise(index: number, vector: number): void {
    const number = index === Irq.msi && this.granted !== undefined ? vector % this.granted : vector;
    this.table(index).raise(number);
  }

  disable(index: number): void {
    if (index === Irq.intx) this.line.disable();
    else this.table(index).disable();
    if (this.enabled !== index) return;
    this.enabled = undefined;
    this.enabledVectors = 0;
  }

  /** Nothing is asserted or latched any more, and the guest's masks are off. Eventfds and the client's mask stay. REQ is not the guest's. */
  reset(): void {
    this.line.asserted = this.line.disabled = false;
    for (const index of [Irq.msi, Irq.msix, Irq.error]) this.table(index).reset();
    this.granted = undefined;
  }

  /** Nothing is delivered while the device is paused. REQ is not the device's. */
  hold(held: boolean): void {
    this.#paused = held;
    this.line.held = held;
    this.line.deliver();
    this.table(Irq.error).hold(held);
    this.#holdMessages();
  }

  /** A function without bus master, or outside of D0, writes no messages: they wait. */
  silence(silent: boolean): void {
    this.#silent = silent;
    this.#holdMessages();
  }

  #holdMessages(): void {
    for (const index of [Irq.msi, Irq.msix]) this.table(index).hold(this.#paused || this.#silent);
  }

  /** What belongs to the device: levels, masks of the guest, and what is latched. Not what is the client's. */
  save(): IrqState {
    const { asserted, disabled } = this.line;
    const tables = [Irq.msi, Irq.msix].map((index) => {
      const { allMasked, vectors } = this.table(index);
      return { allMasked, vectors: vectors.map(({ latched, masked }) => ({ latched, masked })) };
    });
    return { asserted, disabled, tables };
  }

  restore(state: IrqState): void {
    this.line.asserted = state.asserted;
    this.line.disabled = state.disabled;
    for (const [n, index] of [Irq.msi, Irq.msix].entries()) {
      const table = this.table(index);
      const saved = state.tables[n];
      table.allMasked = saved?.allMasked ?? false;
      for (const [number, vector] of table.vectors.entries()) Object.assign(vector, saved?.vectors[number]);
    }
  }

  clientGone(): void {
    for (let index = 0; index < IRQS; ++index) this.disable(index);
    // Meant for that client.
    for (const index of [Irq.error, Irq.request]) this.table(index).forget();
  }
}
