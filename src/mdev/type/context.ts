import type { Capability, PciError, RegisterBlock, RegisterRegion } from '../../emulation/index.ts';
import type { DeviceHandle } from '../../native/device-handle.ts';
import type { DeviceConfigSpace } from './device-config-space.ts';
import type { ErrorReport } from '../errors/device-errors.ts';
import type { DeviceDma } from '../dma/device-dma.ts';
import type { DeviceInterrupts } from '../interrupts/device-interrupts.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import type { MemoryRegion, MmioRegion, Regions } from '../regions/regions.ts';
import type { DeviceSva } from '../sva/device-sva.ts';

/**
 * The device's side of a register region: `registers` and `locks` by name, without the guest's rules and without hooks.
 * `reset` is for what the device does to itself (kind `software`); the framework does the others.
 */
export type DeviceRegion<B extends RegisterBlock> = Pick<RegisterRegion<B>, 'registers' | 'locks' | 'table' | 'reset'>;

/** The register regions of a type, by name. */
export type DeviceRegions<R extends Regions> = {
  readonly [K in keyof R as R[K] extends MmioRegion ? K : never]: R[K] extends MmioRegion<infer B>
    ? DeviceRegion<B>
    : never;
};

/**
 * The memory behind the regions of a type, by name: all of a region of plain memory, and the pages without registers of
 * one that declares them (`map`). Index n is byte n of the region. Clients that map it share it.
 */
export interface DeviceMemories<R extends Regions> {
  readonly memory: {
    readonly [K in keyof R as R[K] extends MemoryRegion | MmioRegion ? K : never]: R[K] extends MemoryRegion
      ? Uint8Array
      : Uint8Array | undefined;
  };
}

/** What the framework hands to the behaviour of a new instance, beside its regions. */
export interface MdevServices<A, T> {
  /** The instance's UUID. */
  readonly uuid: string;
  /** Validated, defaults filled in. */
  readonly attributes: A;
  /** What the type's resource pool gave. Disposed of by the framework, after `close`. */
  readonly resources: T;
  /** The native half of the instance, for engines. It has no use but to be handed on. */
  readonly device: DeviceHandle;
  /** By VFIO irq index: INTx, MSI and MSI-X as its function declares them, ERR, and REQ. What it does not have has a count of 0. */
  readonly irqs: DeviceInterrupts;
  /** What the platform does that consumes the instance. */
  readonly platform: PlatformCapabilities;
  readonly dma: DeviceDma;
  /** Its PASIDs and page requests, for types that declare `sva`. */
  readonly sva: DeviceSva;
  /**
   * Whether the device may reach guest memory: COMMAND.busMaster and power state D0, or true where bus master is not
   * enforced.
   */
  readonly busMaster: boolean;
  /** Ends when the instance fails or closes. */
  readonly signal: AbortSignal;
  /**
   * Background work. Its signal ends at the next reset, and when the instance fails or closes. A rejection fails the
   * instance, unless the signal has ended by then. A task that goes on for 2 s after the instance has closed is left
   * alone, and reported (`abandoned` of the instance).
   * @param name For that report; the function's name, or the task's number, when absent.
   */
  task(work: (signal: AbortSignal) => Promise<void>, name?: string): void;
  /** Puts this instance into `failed`. Does nothing when it is, or is closed; never throws. */
  fail(error: unknown): void;
  /**
   * Isolates this instance after an error that a reset can mend (`frozen`), also while it is being made or is frozen already. Does nothing when it has failed or is
   * closed; never throws.
   */
  freeze(error: unknown): void;
  /**
   * The device has had an error: records it in config space, and isolates this instance if it is uncorrectable. See
   * `MdevDevice.error`; `config.recordError` only records.
   * @param cause What happened, for the operator.
   * @returns what became of it; undefined when the instance has failed or is closed.
   * @throws `MdevError` `EINVAL` while the instance is being made; RangeError if AER was declared without this error.
   */
  error(error: PciError, cause?: unknown): ErrorReport | undefined;
}

/** What `create` of a type gets. */
export type MdevContext<
  A,
  R extends Regions,
  T = undefined,
  C extends readonly Capability[] = readonly Capability[],
> = DeviceRegions<R> & DeviceMemories<R> & MdevServices<A, T> & { readonly config: DeviceConfigSpace<C> };
