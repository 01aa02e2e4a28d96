import { MdevError } from '../errors/mdev-error.ts';

/** An instance in a group, for messages: "instance 5f1c… (dsa0, dsa-cfg-v1)". */
export interface GroupMember {
  readonly who: string;
}

/** Whoever holds the instances of a group: one container, and those who use it. */
export interface GroupOwner {
  /** The same for holds that may be side by side: they share one address space. */
  readonly addressSpace: object;
  /** For messages. */
  readonly name: string;
}

interface Hold {
  readonly owner: GroupOwner;
  readonly since: Date;
}

/**
 * The unit of ownership, as VFIO has it: instances that cannot be isolated from each other, so that all of them are in one
 * address space. By default an instance is in a group of its own; a parent may put several into one (`groupOf`).
 *
 * - A group is held by one owner at a time, from the first of its instances that is attached to the last that is detached.
 *   Others may be attached meanwhile only in the same container.
 * - It is viable while nobody but VMMs uses what is in it: a vendor whose application works on it says so (`claim`).
 */
export class IommuGroup {
  /** Unique in this process, from 0. */
  readonly id: number;
  readonly #members = new Set<GroupMember>();
  readonly #holds = new Map<GroupMember, Hold>();
  readonly #claims = new Set<{ readonly user: string; readonly since: Date }>();

  readonly #abandoned: () => void;

  /**
   * @param abandoned Told when nobody is in the group any more and nobody claims it.
   * @internal
   */
  constructor(id: number, abandoned: (group: IommuGroup) => void) {
    this.id = id;
    this.#abandoned = () => {
      if (this.#members.size === 0 && this.viable) abandoned(this);
    };
  }

  /** Who is in it: "instance 5f1c… (dsa0, dsa-cfg-v1)". */
  get members(): readonly string[] {
    return [...this.#members].map(({ who }) => who);
  }

  /** Whether an owner holds it. */
  get inUse(): boolean {
    return this.#holds.size > 0;
  }

  /** Whether its instances may be attached: nobody has claimed it. */
  get viable(): boolean {
    return this.#claims.size === 0;
  }

  /**
   * Keeps the group from VMMs while an application works on what is in it. Several may.
   * @param user For messages: "dml of pid 4711".
   * @returns what ends the claim, once.
   * @throws {@link MdevError} `EBUSY` when an owner holds the group, which says who holds what and since when.
   */
  claim(user: string): Disposable {
    this.#refuseIfHeld();
    const claim = { user, since: new Date() };
    this.#claims.add(claim);
    return {
      [Symbol.dispose]: () => {
        if (this.#claims.delete(claim)) this.#abandoned();
      },
    };
  }

  /** @internal */
  join(member: GroupMember): void {
    this.#members.add(member);
  }

  /** Its hold ends, too. A claim outlives the instances. Idempotent. @internal */
  leave(member: GroupMember): void {
    this.release(member);
    if (this.#members.delete(member)) this.#abandoned();
  }

  /**
   * An owner takes hold of a member.
   * @internal
   * @throws {@link MdevError} `EBUSY` when another owner holds the group, or when it is not viable. Nothing has changed then.
   */
  hold(member: GroupMember, owner: GroupOwner): void {
    for (const { user, since } of this.#claims) {
      throw new MdevError(
        'EBUSY',
        `group ${this.id} of ${member.who} is not viable: ${user} uses it since ${since.toISOString()}`,
      );
    }
    this.#refuseIfHeld(owner.addressSpace);
    this.#holds.set(member, { owner, since: new Date() });
  }

  /** Ends a member's hold. Idempotent. @internal */
  release(member: GroupMember): void {
    this.#holds.delete(member);
  }

  /** All holds have one address space, so that the first of them speaks for the others. */
  #refuseIfHeld(but?: object): void {
    for (const [{ who }, { owner, since }] of this.#holds) {
      if (owner.addressSpace === but) return;
      throw new MdevError(
        'EBUSY',
        `group ${this.id} is held by ${who}, open since ${since.toISOString()} by ${owner.name}`,
      );
    }
  }
}
