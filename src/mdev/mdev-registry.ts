import { EventEmitter } from 'eventemitter3';

import type { AttributeInput } from './attributes.ts';
import { deferred } from './deferred.ts';
import { MdevDevice } from './mdev-device.ts';
import { MdevError } from './mdev-error.ts';
import type { Allocation, ParentDevice } from './parent-device.ts';
import type { PlatformCapabilities } from './platform-capabilities.ts';
import { suggest } from './suggestion.ts';
import { generateUuid, parseUuid } from './uuid.ts';

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
  readonly platform?: Partial<PlatformCapabilities>;
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
  /** What the behaviour threw when it closed, if it did. The instance is gone all the same. */
  readonly error: unknown;
}

/** What a registry tells. */
export interface MdevRegistryEvents {
  parentRegistered: [parent: ParentDevice];
  parentUnregistered: [parent: ParentDevice];
  created: [device: MdevDevice];
  /** What the instance took is given back. */
  removed: [removal: Removal];
}

type Entry =
  | { readonly state: 'creating'; readonly parent: ParentDevice; readonly settled: Promise<void> }
  | {
      readonly state: 'active';
      readonly parent: ParentDevice;
      readonly device: MdevDevice;
      readonly allocation: Allocation;
    }
  | {
      readonly state: 'removing';
      readonly parent: ParentDevice;
      readonly device: MdevDevice;
      readonly settled: Promise<void>;
    };

interface ParentEntry {
  readonly parent: ParentDevice;
  unregistering: boolean;
}

/** Parents and their instances. UUIDs are unique over all parents of a registry. */
export class MdevRegistry extends EventEmitter<MdevRegistryEvents> {
  readonly #parents = new Map<string, ParentEntry>();
  readonly #entries = new Map<string, Entry>();

  /**
   * Makes a parent's types available.
   * @throws {@link MdevError} `EEXIST` when the name is taken.
   */
  register(parent: ParentDevice): void {
    if (this.#parents.has(parent.name)) {
      throw new MdevError('EEXIST', `parent ${parent.name} is registered already`);
    }
    this.#parents.set(parent.name, { parent, unregistering: false });
    this.emit('parentRegistered', parent);
  }

  /**
   * Removes a parent with all of its instances, taking them away from their clients, and closes it. Nothing can be
   * created on it meanwhile.
   * @throws {@link MdevError} `ENODEV` when it is unknown or already going.
   */
  async unregister(name: string): Promise<void> {
    const entry = this.#parentEntry(name);
    entry.unregistering = true;
    const children = [...this.#entries].filter(([, child]) => child.parent === entry.parent);
    await Promise.all(children.map(([uuid, child]) => this.#removeNow(uuid, child)));
    this.#parents.delete(name);
    this.emit('parentUnregistered', entry.parent);
    await entry.parent.close();
  }

  /** Unregisters every parent. */
  async close(): Promise<void> {
    const staying = [...this.#parents.values()].filter((entry) => !entry.unregistering);
    await Promise.all(staying.map((entry) => this.unregister(entry.parent.name)));
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
    return [...this.#entries.values()].flatMap((entry) => (entry.state === 'active' ? [entry.device] : []));
  }

  /** @throws {@link MdevError} `EINVAL` for what is no UUID, `ENODEV` for an unknown one. */
  device(uuid: string): MdevDevice {
    const key = parseUuid(uuid);
    const entry = this.#entries.get(key);
    if (entry?.state !== 'active') throw new MdevError('ENODEV', `there is no instance ${key}`);
    return entry.device;
  }

  /**
   * Creates an instance. On failure nothing is left behind.
   * @throws {@link MdevError} `EINVAL` (UUID, attribute), `ENODEV` (parent, type, parent unregistering), `EEXIST`,
   * `EUSERS`, or what the vendor's `create` threw.
   */
  async create(options: CreateOptions): Promise<MdevDevice> {
    const uuid = options.uuid === undefined ? generateUuid() : parseUuid(options.uuid);
    const parentEntry = this.#parentEntry(options.parent);
    const { parent } = parentEntry;
    const type = parent.type(options.type);
    const attributes = type.parseAttributes(options.attributes ?? {});
    const holder = this.#entries.get(uuid);
    if (holder !== undefined) {
      const state = holder.state === 'active' ? 'exists' : `is being ${past(holder.state)}`;
      throw new MdevError('EEXIST', `instance ${uuid} ${state} on ${holder.parent.name}`);
    }
    const allocation = parent.take(type, attributes);
    const settled = deferred();
    this.#entries.set(uuid, { state: 'creating', parent, settled: settled.promise });
    let device: MdevDevice;
    try {
      const { resources } = allocation;
      const platform = { ...type.platform, ...options.platform };
      device = await MdevDevice.create({ uuid, parent, type, attributes, resources, platform });
      if (parentEntry.unregistering) {
        await device.close();
        throw new MdevError('ENODEV', `parent ${parent.name} is being unregistered`);
      }
      this.#entries.set(uuid, { state: 'active', parent, device, allocation });
    } catch (error) {
      this.#entries.delete(uuid);
      allocation[Symbol.dispose]();
      throw error;
    } finally {
      settled.resolve();
    }
    this.emit('created', device);
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
    const entry = this.#entries.get(key);
    if (entry === undefined) throw new MdevError('ENODEV', `there is no instance ${key}`);
    if (this.#parents.get(entry.parent.name)?.unregistering === true) {
      throw new MdevError('ENODEV', `parent ${entry.parent.name} of instance ${key} is being unregistered`);
    }
    const force = options.force === true;
    if (entry.state === 'active') {
      await this.#remove(key, entry, force);
    } else if (force && entry.state === 'removing') {
      await this.#removeNow(key, entry);
    } else {
      throw new MdevError('EAGAIN', `instance ${key} is being ${past(entry.state)}`);
    }
  }

  /** Ends an instance whatever it is doing, and resolves when it is gone. */
  async #removeNow(uuid: string, entry: Entry): Promise<void> {
    if (entry.state === 'active') {
      await this.#remove(uuid, entry, true);
      return;
    }
    // The removal under way sees the device close; its errors are its caller's.
    if (entry.state === 'removing') await entry.device.close().catch(() => undefined);
    await entry.settled;
  }

  async #remove(uuid: string, entry: Extract<Entry, { state: 'active' }>, force: boolean): Promise<void> {
    const { allocation, device, parent } = entry;
    const settled = deferred();
    this.#entries.set(uuid, { state: 'removing', parent, device, settled: settled.promise });
    let failure: unknown;
    try {
      if (!force) await device.requestRelease();
      await device.close();
    } catch (error) {
      failure = error;
    } finally {
      this.#entries.delete(uuid);
      allocation[Symbol.dispose]();
      settled.resolve();
    }
    this.emit('removed', { uuid, parent: parent.name, error: failure });
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

function past(state: 'active' | 'creating' | 'removing'): string {
  return state === 'creating' ? 'created' : 'removed';
}
