import { DeclarationError } from '../../emulation/index.ts';
import type { AttributeInput, AttributeValues } from '../type/attributes.ts';
import { IommuGroups } from '../iommu/iommu-groups.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { MdevType } from '../type/mdev-type.ts';
import { declaredName, parseName } from '../base/names.ts';
import { suggest } from '../base/suggestion.ts';
import { PasidPool } from '../sva/pasid-pool.ts';

/** An instance that is about to be made. */
export interface InstanceIdentity {
  readonly uuid: string;
  readonly type: MdevType;
  /** Validated, defaults filled in. */
  readonly attributes: AttributeValues;
}

/** What a vendor says of a device that can be sliced. */
export interface ParentDeviceOptions {
  /** The device's name (`dsa0`). */
  readonly name: string;
  /** Its driver's name (`idxd`), the first part of its types' full names. */
  readonly driverName: string;
  readonly types: readonly MdevType[];
  /** The most instances of all types together. Needed when a type has no resource pool. */
  readonly maxInstances?: number;
  /** The most PASIDs of all instances together; absent: as many as each of them has. */
  readonly maxPasids?: number;
  /**
   * Which instances cannot be isolated from each other: those with the same answer share an IOMMU group. Undefined, or
   * without this: an instance has a group of its own.
   */
  readonly groupOf?: (instance: InstanceIdentity) => string | undefined;
  /**
   * Gives back what the device holds (engines). Called once, when the last instance of an unregistered parent is gone.
   */
  readonly close?: () => void | Promise<void>;
}

/** What one instance takes from its parent. Disposing gives it back, once. */
export interface Allocation extends Disposable {
  /** What the type's pool gave, if it has one. */
  readonly resources: Disposable | undefined;
}

/** A device that is sliced into mediated instances. */
export class ParentDevice {
  /** `dsa0`. */
  readonly name: string;
  /** `idxd`. */
  readonly driverName: string;
  /** In the order in which the vendor gave them. */
  readonly types: readonly MdevType[];
  /** The most instances of all types together; `Infinity` when only resources count. */
  readonly maxInstances: number;
  /** Of its instances. @internal */
  readonly groups = new IommuGroups();
  /** Of its instances. @internal */
  readonly pasids: PasidPool;
  readonly #groupOf: ParentDeviceOptions['groupOf'];
  readonly #close: (() => void | Promise<void>) | undefined;
  #instances = 0;
  #life: 'new' | 'registered' | 'closed' = 'new';

  /**
   * @throws {@link MdevError} `EINVAL` when the parent's name, which is the operator's, is no name; `DeclarationError`
   * when that of the driver is none, a type is given twice, a limit is none, or nothing limits the instances of a type.
   */
  constructor(options: ParentDeviceOptions) {
    this.name = parseName('parent', options.name);
    this.driverName = declaredName('driver', options.driverName);
    this.types = [...options.types];
    this.maxInstances = options.maxInstances ?? Infinity;
    this.#groupOf = options.groupOf;
    this.#close = options.close;
    const { maxPasids = Infinity } = options;
    if (options.maxPasids !== undefined && (!Number.isSafeInteger(maxPasids) || maxPasids < 1)) {
      throw new DeclarationError(`parent ${this.name}: maxPasids is ${maxPasids}; expected a whole number from 1`);
    }
    this.pasids = new PasidPool(this.name, maxPasids);
    const limit = options.maxInstances;
    if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) {
      throw new DeclarationError(`parent ${this.name}: maxInstances is ${limit}; expected a whole number from 1`);
    }
    const ids = new Set<string>();
    for (const type of this.types) {
      if (ids.has(type.id)) throw new DeclarationError(`parent ${this.name}: type ${type.id} is given twice`);
      ids.add(type.id);
      if (limit === undefined && type.resources === undefined) {
        throw new DeclarationError(
          `parent ${this.name}: nothing limits type ${type.id}; give maxInstances, or the type a resource pool`,
        );
      }
    }
  }

  /** Instances of all types, those that are being created or removed included. */
  get instances(): number {
    return this.#instances;
  }

  /** The directory name of a type in the kernel's sysfs, such as `idxd-dsa-cfg-v1`. */
  fullTypeName(type: MdevType): string {
    return `${this.driverName}-${type.id}`;
  }

  /**
   * A type by its id or its full name.
   * @throws {@link MdevError} `ENODEV` with the closest name, or all of them.
   */
  type(name: string): MdevType {
    const found = this.types.find((type) => type.id === name || this.fullTypeName(type) === name);
    if (found === undefined) {
      const known = this.types.map((type) => type.id);
      throw new MdevError('ENODEV', `parent ${this.name} has no type "${name.slice(0, 64)}"${suggest(name, known)}`);
    }
    return found;
  }

  /**
   * How many more instances of a type could be created now, one after the other.
   * @param attributes The instance's attributes; the defaults when absent.
   * @throws {@link MdevError} `ENODEV`, `EINVAL`.
   */
  availableInstances(typeName: string, attributes: AttributeInput = {}): number {
    const type = this.type(typeName);
    const values = type.parseAttributes(attributes);
    const free = Math.max(0, this.maxInstances - this.#instances);
    return type.resources === undefined ? free : Math.min(free, type.resources.available(values));
  }

  /** The vendor's `groupOf`, whose errors pass through. @internal */
  groupKey(instance: InstanceIdentity): string | undefined {
    return this.#groupOf?.(instance);
  }

  /**
   * Takes one place of `maxInstances` and what the type's pool gives.
   * @internal
   * @throws {@link MdevError} `EUSERS`, and then nothing is taken.
   */
  take(type: MdevType, attributes: AttributeValues): Allocation {
    if (this.#instances >= this.maxInstances) {
      throw new MdevError(
        'EUSERS',
        `no instance of ${type.id} is available on ${this.name}: all ${this.maxInstances} are in use`,
      );
    }
    const resources = type.resources?.allocate(attributes);
    this.#instances += 1;
    let given = false;
    return {
      resources,
      [Symbol.dispose]: () => {
        if (given) return;
        given = true;
        this.#instances -= 1;
        resources?.[Symbol.dispose]();
      },
    };
  }

  /**
   * It belongs to a registry from here on. UUIDs are unique within one, so it can be in one only; and what its `close` gave back does not come again.
   * @internal
   * @throws {@link MdevError} `EBUSY` when it is in one already, `ENODEV` when it is closed.
   */
  enterRegistry(): void {
    if (this.#life === 'registered') throw new MdevError('EBUSY', `parent ${this.name} is registered already`);
    if (this.#life === 'closed') throw new MdevError('ENODEV', `parent ${this.name} is closed; make another one`);
    this.#life = 'registered';
  }

  /** @internal */
  async close(): Promise<void> {
    if (this.#life === 'closed') return;
    this.#life = 'closed';
    await this.#close?.();
  }
}
