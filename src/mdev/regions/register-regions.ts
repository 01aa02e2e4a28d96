import {
  compile,
  type Hooks,
  type RegionCounters,
  type RegisterBlock,
  RegisterRegion,
  type ResetKind,
} from '../../emulation/index.ts';
import type { DeviceCore } from '../../native/binding.ts';
import { guardHooks } from '../errors/hook-guard.ts';
import { nativeTable } from './native-tables.ts';
import { accessFlags, type RegionAccess } from './regions.ts';

/**
 * The register regions of one instance. A region is made without hooks, because the behaviour that has them needs the
 * region first; they are bound when the behaviour is there. Storage is the same memory all along.
 */
export class RegisterRegions {
  readonly #core: DeviceCore;
  readonly #goesOn: () => boolean;
  /** By VFIO index; what a trapped access goes to. */
  readonly #regions: (RegisterRegion | undefined)[] = [];

  /** @param goesOn Whether the guest's accesses have an effect: false from a hook that had the instance cut off until it is mended. */
  constructor(core: DeviceCore, goesOn: () => boolean) {
    this.#core = core;
    this.#goesOn = goesOn;
  }

  /** Makes a region with its reset values. @param options Its size and access; the block's, and both ways, when absent. */
  add<B extends RegisterBlock>(
    index: number,
    block: B,
    options: { readonly size: number; readonly access: RegionAccess } = { size: block.size, access: 'readWrite' },
  ): RegisterRegion<B> {
    const table = compile(block);
    const flags = accessFlags(options.access);
    const memory = this.#core.setRegisterRegion(index, options.size, flags, nativeTable(table));
    const region = new RegisterRegion(table, { memory });
    this.#regions[index] = region;
    return region;
  }

  /**
   * Gives a region its hooks. Values and locks stay as they are.
   * @param name Its name, for the path of what a hook throws.
   * @throws `DeclarationError` when `hooks` does not mirror the block.
   */
  bind<B extends RegisterBlock>(index: number, name: string, block: B, hooks: Hooks<B>): RegisterRegion<B> {
    const bare = this.get(index);
    const guarded = guardHooks(name, block, hooks);
    const table = compile(block, guarded);
    const region = new RegisterRegion(table, {
      memory: bare.memory,
      hooks: guarded,
      adopt: true,
      goesOn: this.#goesOn,
    });
    this.#core.setRegisterTable(index, nativeTable(table));
    this.#regions[index] = region;
    return region;
  }

  /** @throws RangeError when there is none. */
  get(index: number): RegisterRegion {
    const region = this.#regions[index];
    if (region === undefined) throw new RangeError(`VFIO region ${index} has no registers`);
    return region;
  }

  /** All of them, by ascending index. */
  all(): readonly (readonly [index: number, region: RegisterRegion])[] {
    return this.#regions.flatMap((region, index) => (region === undefined ? [] : [[index, region] as const]));
  }

  /** Runs a trapped access; what a hook throws passes through. */
  access(index: number, offset: number, data: Uint8Array, write: boolean): void {
    const region = this.get(index);
    if (write) region.write(offset, data);
    else region.read(offset, data);
  }

  /** Resets every region but that of `except`. */
  reset(kind: ResetKind, except: number): void {
    for (const [index, region] of this.#regions.entries()) if (index !== except) region?.reset(kind);
  }

  /** Writes that the registers of accesses with hooks refused; the native side counts its own. By VFIO index. */
  refusedWrites(): readonly { readonly index: number; readonly counters: RegionCounters }[] {
    return this.#regions.flatMap((region, index) =>
      region === undefined ? [] : [{ index, counters: region.counters }],
    );
  }
}
