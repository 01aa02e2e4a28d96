import type { DeviceCore } from '../../native/binding.ts';
import type { PasidTable } from '../../native/pasid-table.ts';
import { errnoName } from '../../native/errno.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { DmaRange } from '../vfio/vfio-requests.ts';
import type { AddressSpace, AddressSpaceUser } from './address-space.ts';
import { PasidAllocator } from './pasid-allocator.ts';
import type { PasidPool } from './pasid-pool.ts';
import type { Invalidation, SvaBehaviour } from './sva-behaviour.ts';
import type { SvaLimits } from './sva-declaration.ts';

/** Whose {@link Pasids} they are. */
export interface PasidOwner {
  /** For messages: "instance 5f1c… (dsa0, dsa-cfg-v1)". */
  readonly who: string;
  readonly limits: SvaLimits;
  readonly pool: PasidPool;
  readonly table: PasidTable;
  /** Tells the behaviour, whose error fails the instance and goes no further. */
  tell(hook: keyof SvaBehaviour, call: (behaviour: SvaBehaviour) => void): void;
  /** A PASID has lost its address space. */
  detached(pasid: number): void;
}

interface Binding {
  readonly space: AddressSpace;
  readonly user: AddressSpaceUser;
}

/** An address space that a PASID is about to have. */
interface Joined {
  readonly core: DeviceCore;
  readonly binding: Binding;
}

/** The PASIDs of one instance, and what is behind each. They are its client's, and end with it. */
export class Pasids {
  readonly #owner: PasidOwner;
  readonly #allocator: PasidAllocator;
  readonly #bindings = new Map<number, Binding>();

  constructor(owner: PasidOwner) {
    this.#owner = owner;
    this.#allocator = new PasidAllocator(owner.who, owner.limits.pasidBits, owner.limits.maxPasids);
  }

  /** How many may still be had. */
  get available(): number {
    return Math.min(this.#allocator.available, this.#owner.pool.available);
  }

  /** One that has an address space, for messages; undefined when none has. */
  get inUse(): string | undefined {
    const [pasid] = this.#bindings.keys();
    return pasid === undefined ? undefined : `${this.#name(pasid)} is attached to address space ${this.#space(pasid)}`;
  }

  isAttached(pasid: number): boolean {
    return this.#bindings.has(pasid);
  }

  /** @throws {@link MdevError} see `SessionSva.allocatePasid`. */
  allocate(wanted: number | undefined): number {
    const pasid = this.#allocator.allocate(wanted);
    try {
      this.#owner.pool.take(this.#owner.who);
    } catch (error) {
      this.#allocator.release(pasid);
      throw error;
    }
    return pasid;
  }

  /** @throws {@link MdevError} see `SessionSva.releasePasid`. */
  release(pasid: number): void {
    this.#allocator.check(pasid);
    this.#checkDetached(pasid);
    this.#release(pasid);
  }

  /** @throws {@link MdevError} see `SessionSva.attach`. */
  attach(pasid: number, space: AddressSpace): void {
    this.#allocator.check(pasid);
    this.#checkDetached(pasid);
    this.#bind(pasid, this.#join(pasid, space), (core) => this.#owner.table.attach(pasid, core));
    this.#tellAttached(pasid);
  }

  /** @throws {@link MdevError} see `SessionSva.replace`. */
  replace(pasid: number, space: AddressSpace): void {
    const earlier = this.#bound(pasid);
    // Joined, it stays open: what the behaviour is told of will happen.
    const next = this.#join(pasid, space);
    this.#owner.tell('detaching', (behaviour) => behaviour.detaching?.(pasid));
    // A behaviour that threw has failed its instance, and whoever was told of that may have detached everything.
    if (this.#bindings.get(pasid) !== earlier) {
      space.leave(next.binding.user);
      throw new MdevError('ECANCELED', `${this.#name(pasid)} was detached`);
    }
    this.#bind(pasid, next, (core) => this.#owner.table.replace(pasid, core));
    earlier.space.leave(earlier.user);
    this.#owner.detached(pasid);
    this.#tellAttached(pasid);
  }

  /** @throws {@link MdevError} see `SessionSva.detach`. */
  detach(pasid: number): void {
    this.#unbind(pasid, this.#bound(pasid));
  }

  /** @throws {@link MdevError} see `SessionSva.invalidate`. */
  invalidate(what: Invalidation): void {
    if (what.pasid !== undefined) this.#bound(what.pasid);
    this.#owner.table.invalidate();
    this.#owner.tell('invalidated', (behaviour) => behaviour.invalidated?.(what));
  }

  /** The client is gone. */
  clear(): void {
    for (const [pasid, binding] of [...this.#bindings]) {
      if (this.#bindings.get(pasid) === binding) this.#unbind(pasid, binding);
    }
    for (const pasid of this.#allocator.all) this.#release(pasid);
  }

  /** From here on the space cannot be closed. @throws {@link MdevError} `ENODEV` when it is. */
  #join(pasid: number, space: AddressSpace): Joined {
    const user: AddressSpaceUser = {
      who: this.#name(pasid),
      invalidated: (range: DmaRange | undefined) => {
        this.#owner.table.invalidate();
        const what = range === undefined ? { pasid } : { pasid, iova: range.iova, size: range.size };
        this.#owner.tell('invalidated', (behaviour) => behaviour.invalidated?.(what));
      },
    };
    return { core: space.join(user), binding: { space, user } };
  }

  #bind(pasid: number, { binding, core }: Joined, change: (core: DeviceCore) => number): void {
    const errno = change(core);
    if (errno !== 0) {
      binding.space.leave(binding.user);
      throw new MdevError('EINVAL', `${this.#name(pasid)} was refused by the table with ${errnoName(errno)}`);
    }
    this.#bindings.set(pasid, binding);
  }

  #unbind(pasid: number, binding: Binding): void {
    this.#owner.tell('detaching', (behaviour) => behaviour.detaching?.(pasid));
    if (this.#bindings.get(pasid) !== binding) return;
    this.#bindings.delete(pasid);
    this.#owner.table.detach(pasid);
    binding.space.leave(binding.user);
    this.#owner.detached(pasid);
  }

  #tellAttached(pasid: number): void {
    this.#owner.tell('attached', (behaviour) => behaviour.attached?.(pasid));
  }

  #release(pasid: number): void {
    this.#allocator.release(pasid);
    this.#owner.pool.give(this.#owner.who);
  }

  #bound(pasid: number): Binding {
    this.#allocator.check(pasid);
    const binding = this.#bindings.get(pasid);
    if (binding === undefined) throw new MdevError('ENOENT', `${this.#name(pasid)} is not attached`);
    return binding;
  }

  #checkDetached(pasid: number): void {
    if (!this.#bindings.has(pasid)) return;
    throw new MdevError('EBUSY', `${this.#name(pasid)} is attached to address space ${this.#space(pasid)}`);
  }

  #space(pasid: number): string {
    return this.#bindings.get(pasid)?.space.name ?? '';
  }

  #name(pasid: number): string {
    return `PASID ${pasid} of ${this.#owner.who}`;
  }
}
