import type { Capability, Hooks, PowerState, ResetKind } from '../../emulation/index.ts';
import type { ConfigHooks } from './device-config-space.ts';
import type { GuestError } from '../errors/guest-errors.ts';
import type { MigrationBehaviour } from '../migration/migration-behaviour.ts';
import type { MmioRegion, Regions } from '../regions/regions.ts';
import type { SvaBehaviour } from '../sva/sva-behaviour.ts';

/** Hooks of a type's registers: of its BARs, and of config space. */
export type RegionHooks<R extends Regions, C extends readonly Capability[] = readonly Capability[]> = {
  readonly [
    K in keyof R | 'config' as K extends 'config' ? K : R[K & keyof R] extends MmioRegion ? K : never
  ]?: K extends 'config' ? ConfigHooks<C> : R[K & keyof R] extends MmioRegion<infer B> ? Hooks<B> : never;
};

/**
 * What a vendor gives back for a new instance. Every function is synchronous where it may not wait: it runs while a
 * guest access waits for its answer. One that throws puts this instance into `failed`; so does one that gives a promise
 * where none is declared (an `async` function).
 */
export interface MdevBehaviour<R extends Regions = Regions, C extends readonly Capability[] = readonly Capability[]> {
  /** What happens when the guest touches registers. Registers without hooks are served natively. */
  readonly hooks?: RegionHooks<R, C>;
  /**
   * The guest gave the function memory or took it away, by COMMAND.busMaster or by its power state: D3hot has none. Not
   * called for what a reset does to it, nor where bus master is not enforced. Memory is still there while `false` is
   * told, so that what is in flight can be ended as it should be instead of by faults.
   */
  readonly busMaster?: (enabled: boolean) => void;
  /**
   * The guest put the function into another power state: D0 to D3hot. Outside D0 the BARs do not answer and guest memory
   * is out of reach, the latter unless bus master is not enforced. Told after the access, before `busMaster`; not for what
   * a reset does to it.
   */
  readonly powerState?: (state: PowerState) => void;
  /**
   * Stop everything at once: no guest memory, no interrupts, no registers touched after it returns. Called before a
   * reset and when the instance is frozen, fails or closes. It may be called again when nothing runs.
   */
  readonly stop?: () => void;
  /**
   * The function was reset; registers, config space and locks have their reset values already. A reset ends a pause that the
   * client asked for to migrate the instance, and one that ends `frozen` ends any pause: `resume` is called after it. An
   * instance that its owner has paused stays so, and so does any whose state is being taken (`StateTransfer.suspend`).
   */
  readonly reset?: (kind: ResetKind) => void;
  /**
   * Pause: resolves when nothing touches guest memory, interrupts or registers any more. Without it, the instance
   * cannot be quiesced.
   */
  readonly quiesce?: () => Promise<void>;
  /**
   * What the guest did wrong, by kinds of the vendor's own, counted since the instance was made. Asked for about once a
   * second while a client holds the instance, and when it leaves. Counters belong where the mistakes are seen.
   */
  readonly guestErrors?: () => readonly GuestError[];
  /**
   * Go on after `quiesce`: who asked for the pause says so, the client has left, or a reset has ended it. Called after `reset`
   * then.
   */
  readonly resume?: () => void;
  /** What happens to its PASIDs, for types that declare `sva`. */
  readonly sva?: SvaBehaviour;
  /** Makes instances migratable, together with `quiesce` and `resume`; without it their clients are told that there is no migration. */
  readonly migration?: MigrationBehaviour;
  /**
   * The instance is going away; `stop` was called, tasks were told by their signal. Give back what was taken, within 2 s:
   * then the instance is closed all the same, and this is reported (`abandoned`).
   */
  readonly close?: () => void | Promise<void>;
}
