import { EventEmitter } from 'eventemitter3';

import type { AttributeInput } from '../type/attributes.ts';
import { endsWithin } from '../base/ends-within.ts';
import { guarded } from '../base/guarded.ts';
import { InstancePlace } from './instance-place.ts';
import { MdevDevice } from '../device/mdev-device.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { ParentDevice } from './parent-device.ts';
import type { PlatformOverrides } from '../platform/platform-capabilities.ts';
import { checkPlatform, mergePlatforms } from '../platform/platform-overrides.ts';
import { suggest } from '../base/suggestion.ts';
import { generateUuid, parseUuid } from '../base/uuid.ts';

/** What a new instance is to be. */
export interface CreateOptions {
  /** Name of a registered parent. */
  readonly parent: string;
  /** A type's id or full name. */
  readonly type: string;
  /** 36 characters; random when absent. */
  readonly uuid?: string;
  /** Values by attribute name, as text or as what they are. */
  readonly attributes?: AttributeInput;
  /** Where this instance's platform differs from what its type says. */
  readonly platform?: PlatformOverrides;
}

/** How an instance is removed. */
export interface RemoveOptions {
  /** Take it away from a client that holds it, instead of asking the client and waiting until it lets go. */
  readonly force?: boolean;
}

/** An instance that is gone. */
export interface Removal {
  readonly uuid: string;
  /** Name of the parent. */
  readonly parent: string;
  /**
   * What the behaviour threw when it closed, or else its resources when they were disposed of. The instance is gone all
   * the same.
   */
  readonly error: unknown;
}

/** What a registry tells, each after it has happened. A listener's error is not the registry's: it is uncaught. */
export interface MdevRegistryEvents {
  parentRegistered: [parent: ParentDevice];
  parentUnregistered: [parent: ParentDevice];
  created: [device: MdevDevice];
  /** What the instance took is given back. */
  removed: [removal: Removal];
}

/** How long unregistering a parent waits for a vendor's `create`, milliseconds. */
const CREATE_LIMIT_MS = 2000;

interface ParentEntry {
  readonly parent: ParentDevice;
  unregistering: boolean;
}

/** Parents and their instances. UUIDs are unique over all parents of a registry. */
export class MdevRegistry extends EventEmitter<MdevRegistryEvents> {
  readonly #parents = new Map<string, ParentEntry>();
  readonly #places = new Map<string, InstancePlace>();
  /** What `unregister` has not ended yet. */
  readonly #endings = new Set<Promise<void>>();

  /**
   * Makes a parent's types available.
   * @throws {@link MdevError} `EEXIST` when the name is taken, `EBUSY` when another registry has this parent, `ENODEV` when it has been closed.
   */
  register(parent: ParentDevice): void {
    if (this.#parents.has(parent.name)) {
      throw new MdevError('EEXIST', `parent ${parent.name} is registered already`);
    }
    parent.enterRegistry();
    this.#parents.set(parent.name, { parent, unregistering: false });
    this.#tell('parentRegistered', parent);
  }

  /**
   * Removes a parent with all of its instances, taking them away from their clients, and closes it. Nothing can be
   * created on it meanwhile. What is being created has 2 s to end; then it is given up, and its creation rejects with
   * `ECANCELED`.
   * @throws {@link MdevError} `ENODEV` when it is unknown or already going.
   */
  async unregister(name: string): Promise<void> {
    const entry = this.#parentEntry(name);
    entry.unregistering = true;
    const ending = this.#endParent(entry);
    this.#endings.add(ending);
    try {
      await ending;
    } finally {
      this.#endings.delete(ending);
    }
  }

  /**
   * Unregisters every parent, and resolves when all have ended, also those that were going already.
   * @throws What the first `close` of a vendor threw that this has called; all the others have ended then, too.
   */
  async close(): Promise<void> {
    const earlier = [...this.#endings];
    const staying = [...this.#parents.values()].filter((entry) => !entry.unregistering);
    const own = staying.map((entry) => this.unregister(entry.parent.name));
    await Promise.allSettled([...earlier, ...own]);
    await Promise.all(own);
  }

  /** Registered parents. */
  get parents(): readonly ParentDevice[] {
    return [...this.#parents.values()].map((entry) => entry.parent);
  }

  /** @throws {@link MdevError} `ENODEV` with the closest name. */
  parent(name: string): ParentDevice {
    return this.#parentEntry(name).parent;
  }

  /** The instances that exist; not those that are being created or removed. */
  get devices(): readonly MdevDevice[] {
    return [...this.#places.values()].flatMap(({ state, device }) =>
      state === 'active' && device !== undefined ? [device] : [],
    );
  }

  /** @throws {@link MdevError} `EINVAL` for what is no UUID, `ENODEV` for an unknown one. */
  device(uuid: string): MdevDevice {
    const key = parseUuid(uuid);
    const place = this.#places.get(key);
    if (place?.device === undefined || place.state !== 'active') {
      throw new MdevError('ENODEV', `there is no instance ${key}`);
    }
    return place.device;
  }

  /**
   * Creates an instance. On failure nothing is left behind.
   * @throws {@link MdevError} `EINVAL` (UUID, attribute, platform switch), `ENODEV` (parent, type, parent unregistering), `EEXIST`,
   * `EUSERS`, or what the vendor's `create` threw.
   */
  async create(options: CreateOptions): Promise<MdevDevice> {
    const uuid = options.uuid === undefined ? generateUuid() : parseUuid(options.uuid);
    const parentEntry = this.#parentEntry(options.parent);
    const { parent } = parentEntry;
    const type = parent.type(options.type);
    const attributes = type.parseAttributes(options.attributes ?? {});
    checkPlatform(options.platform ?? {});
    const platform = mergePlatforms(type.platform, options.platform ?? {});
    const taken = this.#places.get(uuid);
    if (taken !== undefined) {
      throw new MdevError('EEXIST', `instance ${uuid} ${taken.condition} on ${taken.parent.name}`);
    }
    const groupKey = parent.groupKey({ uuid, type, attributes });
    const place = new InstancePlace(uuid, parent, parent.take(type, attributes));
    this.#places.set(uuid, place);
    let device: MdevDevice;
    try {
      device = await MdevDevice.create({
        uuid,
        parent,
        type,
        attributes,
        resources: place.allocation.resources,
        groupKey,
        platform,
        cancelled: place.cancelled,
      });
      if (parentEntry.unregistering) {
        await device.close();
        throw new MdevError('ENODEV', `parent ${parent.name} is being unregistered`);
      }
      place.created(device);
      // Whoever closes it.
      void device.ended.then((failure) => {
        this.#end(place, failure);
      });
    } catch (error) {
      this.#end(place, undefined);
      throw error;
    }
    this.#tell('created', device);
    return device;
  }

  /**
   * Removes an instance. One that a client holds is asked for (irq index REQ, and the holder's `onRequest`) and removed
   * when the client lets go. With `force` it is taken away, also when an earlier removal is still waiting for the
   * client.
   * @throws {@link MdevError} `EINVAL` (no UUID), `ENODEV` (unknown, or its parent is unregistering), `EAGAIN` (being
   * created or removed).
   */
  async remove(uuid: string, options: RemoveOptions = {}): Promise<void> {
    const key = parseUuid(uuid);
    const place = this.#places.get(key);
    if (place === undefined) throw new MdevError('ENODEV', `there is no instance ${key}`);
    if (this.#parents.get(place.parent.name)?.unregistering === true) {
      throw new MdevError('ENODEV', `parent ${place.parent.name} of instance ${key} is being unregistered`);
    }
    if (options.force === true && place.state === 'removing') await this.#removeNow(place);
    else await this.#remove(place, options.force === true);
  }

  async #endParent(entry: ParentEntry): Promise<void> {
    const children = [...this.#places.values()].filter((place) => place.parent === entry.parent);
    await Promise.all(children.map((place) => this.#removeNow(place)));
    this.#parents.delete(entry.parent.name);
    this.#tell('parentUnregistered', entry.parent);
    await entry.parent.close();
  }

  /** Ends an instance whatever it is doing, and resolves when it is gone. */
  async #removeNow(place: InstancePlace): Promise<void> {
    if (place.state === 'creating' && !(await endsWithin(place.gone, CREATE_LIMIT_MS))) {
      place.cancel(`its type's create had not ended ${CREATE_LIMIT_MS} ms after the parent was to be unregistered`);
    }
    if (place.state === 'active') place.remove();
    // Its errors are told with the removal.
    await place.device?.close().catch(() => undefined);
    await place.gone;
  }

  async #remove(place: InstancePlace, force: boolean): Promise<void> {
    place.remove();
    if (!force) await place.device?.requestRelease();
    await place.device?.close().catch(() => undefined);
    await place.gone;
  }

  /** The instance is closed, or was never made. */
  #end(place: InstancePlace, failure: unknown): void {
    this.#places.delete(place.uuid);
    const existed = place.device !== undefined;
    let error = failure;
    try {
      place.end();
    } catch (disposal) {
      // The first error is the one that counts, also that of a creation.
      error ??= disposal;
    }
    if (existed) this.#tell('removed', { uuid: place.uuid, parent: place.parent.name, error });
    place.settle();
  }

  #tell<E extends keyof MdevRegistryEvents>(event: E, ...details: MdevRegistryEvents[E]): void {
    guarded(() => (this.emit as (name: string, ...parameters: unknown[]) => boolean)(event, ...details));
  }

  #parentEntry(name: string): ParentEntry {
    const entry = this.#parents.get(name);
    if (entry === undefined) {
      const known = [...this.#parents.keys()];
      throw new MdevError('ENODEV', `there is no parent "${name.slice(0, 64)}"${suggest(name, known)}`);
    }
    if (entry.unregistering) throw new MdevError('ENODEV', `parent ${name} is being unregistered`);
    return entry;
  }
}
