import { type GroupMember, IommuGroup } from './iommu-group.ts';

/** Ids are not used again: a message about a group that is gone must not name another one. */
let nextId = 0;

/** The groups of one parent. A group is there while an instance is in it, or somebody has claimed it. */
export class IommuGroups {
  readonly #byKey = new Map<string, IommuGroup>();

  /**
   * Puts an instance into the group of its key, or into one of its own.
   * @param key The same for instances of one group; undefined: of its own.
   */
  join(key: string | undefined, member: GroupMember): IommuGroup {
    const group = (key === undefined ? undefined : this.#byKey.get(key)) ?? this.#make(key);
    group.join(member);
    return group;
  }

  /** How many groups of several instances there are. */
  get size(): number {
    return this.#byKey.size;
  }

  #make(key: string | undefined): IommuGroup {
    const group = new IommuGroup(nextId++, (abandoned) => {
      if (key !== undefined && this.#byKey.get(key) === abandoned) this.#byKey.delete(key);
    });
    if (key !== undefined) this.#byKey.set(key, group);
    return group;
  }
}
