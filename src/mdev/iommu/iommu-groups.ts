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
    const group = (key === undefined ? undefined : this.#byKey.get(key)) ?? new IommuGroup(nextId++);
    if (key !== undefined) this.#byKey.set(key, group);
    group.join(member);
    return group;
  }

  /** Takes an instance out of its group, with its hold. Idempotent. */
  leave(key: string | undefined, group: IommuGroup, member: GroupMember): void {
    if (group.leave(member) && key !== undefined && this.#byKey.get(key) === group) this.#byKey.delete(key);
  }
}
