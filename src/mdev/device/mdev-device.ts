import { EventEmitter } from 'eventemitter3';

import type { ConfigSpace, PciError } from '../../emulation/index.ts';
import type { DeviceStatistics } from '../../native/binding.ts';
import type { DeviceHandle } from '../../native/device-handle.ts';
import type { Attachment, Holder } from './attachment.ts';
import type { AttributeValues } from '../type/attributes.ts';
import { describeDevice, type DeviceDescription } from '../type/device-description.ts';
import type { ErrorReport } from '../errors/device-errors.ts';
import { DeviceSession } from '../session/device-session.ts';
import type { GuestError } from '../errors/guest-errors.ts';
import { checkTimeLimit } from '../errors/time-limit.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import type { IoEventFd } from '../regions/io-event-fd.ts';
import type { MdevState } from './life-cycle.ts';
import type { MdevDeviceEvents, MdevFailure } from './mdev-device-events.ts';
import type { MdevType } from '../type/mdev-type.ts';
import type { Migration } from '../migration/migration.ts';
import type { StateTransfer } from '../migration/state-transfer.ts';
import type { ParentDevice } from '../registry/parent-device.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { regionsOf, type Regions } from '../regions/regions.ts';
import type { IrqInfo, RegionInfo } from '../vfio/vfio.ts';
import { checkServable } from '../sva/hidden-pasid.ts';
import type { OpenOptions } from './device-hold.ts';
import { DeviceParts, type MdevDeviceOptions } from './device-parts.ts';

/**
 * A mediated instance: a PCI function that one client at a time holds. Made by a registry.
 *
 * Everything here runs on the thread that created the instance.
 */
export class MdevDevice extends EventEmitter<MdevDeviceEvents> {
  /** 36 characters, lower case. */
  readonly uuid: string;
  readonly parent: ParentDevice;
  readonly type: MdevType;
  /** Validated, defaults filled in. */
  readonly attributes: AttributeValues;
  /** What this instance's platform does: the type's word, and that of who created it, over the defaults. */
  readonly platform: PlatformCapabilities;
  /** Whose instances are held together, or by nobody else. */
  readonly group: IommuGroup;
  readonly #parts: DeviceParts;

  /**
   * Makes an instance and its behaviour.
   * @internal
   * @throws What the declaration or the vendor's `create` throws; nothing is left then.
   */
  static async create(options: MdevDeviceOptions): Promise<MdevDevice> {
    const device = new MdevDevice(options);
    try {
      await device.#parts.begin();
      return device;
    } catch (error) {
      // Its own errors would hide the first one.
      await device.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor(options: MdevDeviceOptions) {
    super();
    this.uuid = options.uuid;
    this.parent = options.parent;
    this.type = options.type;
    this.attributes = options.attributes;
    this.#parts = new DeviceParts(options, (event, details) => {
      (this.emit as (name: string, ...parameters: readonly unknown[]) => boolean)(event, ...details);
    });
    this.platform = this.#parts.platform;
    this.group = this.#parts.group;
  }

  /** Where the instance is in its life. */
  get state(): MdevState {
    return this.#parts.life.state;
  }

  /** Why it is `frozen` or `failed`. */
  get failure(): MdevFailure | undefined {
    return this.#parts.life.failure;
  }

  /**
   * Resolves when the instance is closed, by whomever, with what its behaviour threw then, if it did.
   * @internal
   */
  get ended(): Promise<unknown> {
    return this.#parts.closing.ended;
  }

  /** The client that holds it. */
  get attachment(): Attachment | undefined {
    return this.#parts.hold.attachment;
  }

  /** GET_REGION_INFO, by VFIO index. */
  get regions(): readonly RegionInfo[] {
    return this.#parts.function.regions;
  }

  /** GET_IRQ_INFO, by VFIO index. */
  get irqs(): readonly IrqInfo[] {
    return this.#parts.function.irqInfos;
  }

  /** GET_REGION_IO_FDS: the bells of all regions, each with its VFIO index. */
  get ioEventFds(): readonly (IoEventFd & { readonly region: number })[] {
    return regionsOf(this.declaredRegions).flatMap(({ index, region }) =>
      region.kind === 'mmio' ? (region.ioEventFds ?? []).map((bell) => ({ ...bell, region: index })) : [],
    );
  }

  /** Declaration of the config space. */
  get configSpace(): ConfigSpace {
    return this.#parts.function.configSpace;
  }

  /** What its type declares for each region but config space, by name. */
  get declaredRegions(): Regions {
    return this.#parts.function.declaredRegions;
  }

  /** Its side of migration; undefined when its type cannot be migrated. It is the client's to use. */
  get migration(): Migration | undefined {
    return this.#parts.migration;
  }

  /** Its state as bytes, for its owner; undefined when its type cannot be migrated. */
  get transfer(): StateTransfer | undefined {
    return this.#parts.transfer;
  }

  /** The native half, to be handed to a server. */
  get handle(): DeviceHandle {
    return this.#parts.function.handle;
  }

  /**
   * Counters of what the guest and the client did, and of what was refused. They go on until the instance is closed.
   */
  get statistics(): DeviceStatistics {
    return this.#parts.function.statistics();
  }

  /**
   * What the guest did wrong since its client came, or what the last client's guest had done when it left, by kind. As of
   * the last look, which is up to a second ago.
   */
  get guestErrors(): readonly GuestError[] {
    return this.#parts.guestErrors.all;
  }

  /**
   * The instance as data: identity, BARs, capabilities, regions, irqs, and the registers of its config space with their
   * present values.
   */
  describe(): DeviceDescription {
    return describeDevice(this, this.#parts.function);
  }

  /**
   * Takes hold of the instance for a client, and with it of its group: what is mapped for this client is an address space
   * of its own, so that nobody can hold other instances of the group meanwhile. A frozen instance is reset first.
   * @throws {@link MdevError} `EBUSY` when it is held, or its group is, which says by whom and since when, and when its group
   * is not viable; `EIO` when it has failed, or fails or freezes again during that reset; `ENODEV` when it is closed;
   * `EOPNOTSUPP` see {@link checkServable}. Nobody holds it then.
   */
  attach(holder: Holder): Attachment {
    this.checkServable();
    return this.#parts.hold.attach(holder, undefined);
  }

  /**
   * Looks whether a client in another process can have it: what it shows works there, or its operator wants it to be shown all the same.
   * @throws {@link MdevError} `EOPNOTSUPP` when it shows PASIDs or page requests to a VMM in this process only (the platform switch `pasid`).
   */
  checkServable(): void {
    checkServable(this.#parts.life.who, this.platform, this.configSpace);
  }

  /**
   * Takes hold of the instance for a VMM in this process.
   * @param options Where its guest memory comes from; from its session alone when absent.
   * @throws {@link MdevError} see {@link attach}; `EINVAL` when the container and the instance do not go together.
   */
  open(holder: Holder, options?: OpenOptions): DeviceSession {
    const { function: mdevFunction, hold, migration, resets, sva } = this.#parts;
    const attachment = hold.attach(holder, options);
    try {
      attachment.start();
      hold.check(attachment);
    } catch (error) {
      attachment.detach();
      throw error;
    }
    const reset = (): void => {
      resets.reset('client');
    };
    return new DeviceSession({ attachment, function: mdevFunction, reset, migration, sva, type: this.type.id });
  }

  /**
   * Resets the function as VFIO_DEVICE_RESET does: config space and registers have their reset values, eventfds and
   * memory maps stay. A frozen instance goes on afterwards, unless its state is being taken (`transfer`).
   * @param kind `cold` is switching power off and on: registers that survive a function-level reset are reset too.
   * @throws {@link MdevError} `EIO` when it has failed, also when it does or freezes again during the reset; `ENODEV` when it is closed.
   */
  reset(kind: 'cold' | 'function' = 'function'): void {
    this.#parts.resets.reset('owner', kind);
  }

  /**
   * The device has had an error: it is recorded in STATUS, the PCI Express capability and AER, as far as there are any,
   * and told (`deviceError`). An uncorrectable one freezes the instance: every read gives all ones, writes are dropped,
   * guest memory is out of reach, and the behaviour has stopped, until {@link reset} lets it go on; its client keeps its
   * hold, its eventfds and its maps, and what it has mapped of a region stays: its memory can be read and stored to, and
   * the device finds what was stored after the reset (docs/regions.md). ERR is signalled then where the platform says so (`reportErrors`). Correctable errors
   * are only recorded, and so are advisory ones unless their severity is fatal, and what follows while it is frozen.
   * @param cause What happened, for who reads {@link failure}; the error's name when absent.
   * @throws {@link MdevError} `ENODEV` when it is closed, `EIO` when it has failed; `RangeError` for a name that no
   * error has, and for an error that AER was declared without. Nothing has happened then.
   */
  error(error: PciError, cause?: unknown): ErrorReport {
    return this.#parts.errors.add(error, cause);
  }

  /**
   * Pauses a running instance. Its client may stop it for a migration meanwhile, which ends without its going on.
   * @param limit Milliseconds to wait at most, 1 to 2^31 - 1; without it, as long as the behaviour takes.
   * @throws {@link MdevError} `EINVAL` for another limit, `ENOTTY` when its behaviour cannot, `ETIMEDOUT` when it did not in time and goes on, `EIO` when its behaviour
   * rejected, which fails it, else what the life cycle says.
   */
  async quiesce(limit?: number): Promise<void> {
    checkTimeLimit('the limit of quiesce', limit);
    await this.#parts.pause.quiesce('owner', limit);
  }

  /**
   * Ends {@link quiesce}; the instance goes on unless its client has stopped it for a migration, or its state is being taken.
   * @throws {@link MdevError} `EBUSY` when it is not quiesced, or only because of these; `EIO` when it is frozen or has failed, also when its behaviour threw
   * now, which fails it; `ENODEV` when it is closed.
   */
  resume(): void {
    this.#parts.pause.resume();
  }

  /**
   * Tells at once whether the device stands still, because its owner, its client's migration or a transfer has paused it, and whenever that changes: a server lets
   * wait then what its guest signals.
   * @returns what ends it.
   * @internal
   */
  watchPaused(listener: (paused: boolean) => void): () => void {
    return this.#parts.pause.watch(listener);
  }

  /**
   * Asks the client to let go (irq index REQ, `onRequest`, event `request`), at once and every 10 s, and resolves when no client holds the instance any
   * more.
   */
  requestRelease(): Promise<void> {
    return this.#parts.hold.requestRelease();
  }

  /**
   * Ends the instance: takes it away from its client, stops its work and closes its behaviour. Idempotent. What it
   * took from its parent is given back. First, engines leave its guest's memory, which lasts as long as a page that one waits for (decision 13); about 4 s
   * after that it resolves at the latest: a behaviour that does not close within 2 s, and tasks that ignore their signal for 2 s, are left alone (`abandoned`).
   * Rejects with what the behaviour's `close` throws; the instance is closed all the same.
   */
  close(): Promise<void> {
    return this.#parts.closing.close();
  }
}
