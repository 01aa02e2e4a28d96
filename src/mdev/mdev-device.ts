import { EventEmitter } from 'eventemitter3';

import { type ConfigSpace, DeclarationError, type PciError } from '../emulation/index.ts';
import type { DeviceStatistics } from '../native/binding.ts';
import type { DeviceHandle } from '../native/device-handle.ts';
import { type Attachment, createAttachment, type Holder } from './attachment.ts';
import type { AttributeValues } from './attributes.ts';
import type { MdevBehaviour } from './behaviour.ts';
import { callSynchronously } from './call-synchronously.ts';
import { createContext } from './create-context.ts';
import { createBehaviour } from './create-behaviour.ts';
import { deferred, type Deferred } from './deferred.ts';
import { describeDevice, type DeviceDescription } from './device-description.ts';
import { DeviceErrors, type ErrorReport } from './device-errors.ts';
import { DeviceSession } from './device-session.ts';
import { endsWithin } from './ends-within.ts';
import { DeviceLife } from './device-life.ts';
import { guarded } from './guarded.ts';
import { GuestErrorWatch } from './guest-error-watch.ts';
import type { Container, ContainerMember } from './iommu/container.ts';
import type { GroupMember, IommuGroup } from './iommu/iommu-group.ts';
import type { GuestError } from './guest-errors.ts';
import type { IoEventFd } from './io-event-fd.ts';
import type { MdevState } from './life-cycle.ts';
import { MdevError } from './mdev-error.ts';
import type { MdevDeviceEvents, MdevFailure } from './mdev-device-events.ts';
import { MdevFunction } from './function/mdev-function.ts';
import type { ResetCause } from './function/reset-cause.ts';
import type { MdevType } from './mdev-type.ts';
import { DeviceState } from './migration/device-state.ts';
import type { Migration } from './migration/migration.ts';
import { MigrationMachine } from './migration/migration-machine.ts';
import type { ParentDevice } from './parent-device.ts';
import { defaultPlatformCapabilities, type PlatformCapabilities } from './platform-capabilities.ts';
import { regionsOf, type Regions } from './regions.ts';
import { Tasks } from './tasks.ts';
import type { IrqInfo, RegionInfo } from './vfio.ts';

/** @internal */
export interface MdevDeviceOptions {
  readonly uuid: string;
  readonly parent: ParentDevice;
  readonly type: MdevType;
  readonly attributes: AttributeValues;
  readonly resources: Disposable | undefined;
  /** The same for instances that share an IOMMU group; undefined: one of its own. */
  readonly groupKey: string | undefined;
  readonly platform: Partial<PlatformCapabilities>;
  /** Rejects when nobody waits for the creation any more. */
  readonly cancelled: Promise<never>;
}

/** Where an instance gets its guest memory from. */
export interface OpenOptions {
  /** An address space that it shares with other instances of the same owner; one of its own when absent. */
  readonly container: Container;
  /** The guest's bridge whose virtual IOMMU the instance is behind, as the container's model says it; none when absent. */
  readonly bridge?: string;
}

/** How long `close` waits for the behaviour's `close`, and then for tasks, milliseconds. */
const CLOSE_LIMIT_MS = 2000;

/** Linux errno values that DEVICE_RESET answers with. */
const EIO = 5;

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
  readonly #groupKey: string | undefined;
  readonly #member: GroupMember & ContainerMember;
  readonly #function: MdevFunction;
  readonly #tasks: Tasks;
  readonly #guestErrors: GuestErrorWatch;
  readonly #life: DeviceLife;
  readonly #errors: DeviceErrors;
  #behaviour: MdevBehaviour = {};
  #attachment: Attachment | undefined;
  #released: Deferred | undefined;
  #migration: MigrationMachine | undefined;
  #quiescing = false;
  /** The client has begun to use the instance. */
  #started = false;
  /** The behaviour is paused, whatever has happened since. */
  #paused = false;
  readonly #ended: Promise<unknown>;
  #end: (failure: unknown) => void = () => undefined;
  #closing: Promise<void> | undefined;

  /**
   * Makes an instance and its behaviour.
   * @internal
   * @throws What the declaration or the vendor's `create` throws; nothing is left then.
   */
  static async create(options: MdevDeviceOptions): Promise<MdevDevice> {
    const device = new MdevDevice(options);
    try {
      const context = createContext({
        ...options,
        function: device.#function,
        tasks: device.#tasks,
        fail: (error) => {
          device.#life.fail('behaviour', error);
        },
        freeze: (error) => {
          device.#life.freeze('behaviour', error);
        },
        error: (error, cause) =>
          device.state === 'failed' || device.state === 'closed' ? undefined : device.error(error, cause),
      });
      device.#behaviour = await createBehaviour(() => options.type.create(context), options.cancelled);
      // What `create` started may have failed already.
      if (device.failure !== undefined) throw device.failure.error;
      device.#function.bind(device.#behaviour);
      device.#migration = device.#migrationOf(device.#behaviour);
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
    this.platform = Object.freeze({ ...defaultPlatformCapabilities, ...options.platform });
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const names = { uuid: options.uuid, parent: options.parent.name, type: options.type.id };
    const isIsolated = (): boolean => this.#function.isolated;
    this.#life = new DeviceLife(names, {
      get isolated() {
        return isIsolated();
      },
      emit: (event, details) => (this.emit as (name: string, ...parameters: unknown[]) => boolean)(event, ...details),
      cutOff: (state) => {
        this.#isolate();
        this.#migration?.fail();
        if (state === 'failed') this.#tasks.end();
        else this.#tasks.reset();
      },
    });
    this.#tasks = new Tasks((error) => {
      this.#life.fail('task', error);
    });
    this.#function = new MdevFunction(options.type.declarationOf(options.attributes, this.platform), this.platform, {
      failed: (path, error) => {
        this.#life.fail(path, error);
      },
      wasReset: (kind, cause) => {
        this.#tasks.reset();
        // It runs after a reset, if it was its client that had stopped it.
        if (this.#migration?.reset() === true && this.state === 'quiesced') this.#resume();
        this.#life.tell('reset', { kind, cause });
      },
      resetByClient: () => this.#resetByClient(),
    });
    this.#errors = new DeviceErrors(this.#function, this.#life);
    this.#guestErrors = new GuestErrorWatch(() => this.#function.guestErrors(), {
      found: (error) => {
        this.#life.tell('guestError', error);
      },
      failed: (error) => {
        this.#life.fail('guestErrors', error);
      },
    });
    this.#member = {
      who: this.#who,
      core: this.#function.core,
      fail: (error) => {
        this.#life.fail('container', error);
      },
    };
    this.#groupKey = options.groupKey;
    this.group = options.parent.groups.join(options.groupKey, this.#member);
  }

  /** Where the instance is in its life. */
  get state(): MdevState {
    return this.#life.state;
  }

  /** Why it is `frozen` or `failed`. */
  get failure(): MdevFailure | undefined {
    return this.#life.failure;
  }

  /**
   * Resolves when the instance is closed, by whomever, with what its behaviour threw then, if it did.
   * @internal
   */
  get ended(): Promise<unknown> {
    return this.#ended;
  }

  /** The client that holds it. */
  get attachment(): Attachment | undefined {
    return this.#attachment;
  }

  /** GET_REGION_INFO, by VFIO index. */
  get regions(): readonly RegionInfo[] {
    return this.#function.regions;
  }

  /** GET_IRQ_INFO, by VFIO index. */
  get irqs(): readonly IrqInfo[] {
    return this.#function.irqInfos;
  }

  /** GET_REGION_IO_FDS: the bells of all regions, each with its VFIO index. */
  get ioEventFds(): readonly (IoEventFd & { readonly region: number })[] {
    return regionsOf(this.bars).flatMap(({ index, region }) =>
      region.kind === 'mmio' ? (region.ioEventFds ?? []).map((bell) => ({ ...bell, region: index })) : [],
    );
  }

  /** Declaration of the config space. */
  get configSpace(): ConfigSpace {
    return this.#function.configSpace;
  }

  /** What is behind the BARs. */
  get bars(): Regions {
    return this.#function.bars;
  }

  /** Its side of migration; undefined when its type cannot be migrated. It is the client's to use. */
  get migration(): Migration | undefined {
    return this.#migration;
  }

  /** The native half, to be handed to a server. */
  get handle(): DeviceHandle {
    return this.#function.handle;
  }

  /**
   * Counters of what the guest and the client did, and of what was refused. They go on until the instance is closed.
   */
  get statistics(): DeviceStatistics {
    return this.#function.statistics();
  }

  /**
   * What the guest did wrong since its client came, or what the last client's guest had done when it left, by kind. As of
   * the last look, which is up to a second ago.
   */
  get guestErrors(): readonly GuestError[] {
    return this.#guestErrors.all;
  }

  /**
   * The instance as data: identity, BARs, capabilities, regions, irqs, and the registers of its config space with their
   * present values.
   */
  describe(): DeviceDescription {
    return describeDevice(this, this.#function);
  }

  /**
   * Takes hold of the instance for a client, and with it of its group: what is mapped for this client is an address space
   * of its own, so that nobody can hold other instances of the group meanwhile. A frozen instance is reset first.
   * @throws {@link MdevError} `EBUSY` when it is held, or its group is, which says by whom and since when, and when its group
   * is not viable; `EIO` when it has failed, or fails or freezes again during that reset; `ENODEV` when it is closed.
   * Nobody holds it then.
   */
  attach(holder: Holder): Attachment {
    return this.#attach(holder, undefined);
  }

  /**
   * Takes hold of the instance for a VMM in this process.
   * @param options Where its guest memory comes from; from its session alone when absent.
   * @throws {@link MdevError} see {@link attach}; `EINVAL` when the container and the instance do not go together.
   */
  open(holder: Holder, options?: OpenOptions): DeviceSession {
    const attachment = this.#attach(holder, options);
    try {
      attachment.start();
      this.#checkHeld(attachment);
    } catch (error) {
      attachment.detach();
      throw error;
    }
    const reset = (): void => {
      this.#reset('client');
    };
    return new DeviceSession({ attachment, function: this.#function, reset, migration: this.#migration });
  }

  /**
   * Resets the function as VFIO_DEVICE_RESET does: config space and registers have their reset values, eventfds and
   * memory maps stay. A frozen instance goes on afterwards.
   * @param kind `cold` is switching power off and on: registers that survive a function-level reset are reset too.
   * @throws {@link MdevError} `EIO` when it has failed, also when it does during the reset; `ENODEV` when it is closed.
   */
  reset(kind: 'cold' | 'function' = 'function'): void {
    this.#reset('owner', kind);
  }

  /**
   * The device has had an error: it is recorded in STATUS, the PCI Express capability and AER, as far as there are any,
   * and told (`deviceError`). An uncorrectable one freezes the instance: every read gives all ones, writes are dropped,
   * guest memory is out of reach, and the behaviour has stopped, until {@link reset} lets it go on; its client keeps its
   * hold, its eventfds and its maps. ERR is signalled then where the platform says so (`reportErrors`). Correctable errors
   * are only recorded, and so are advisory ones unless their severity is fatal, and what follows while it is frozen.
   * @param cause What happened, for who reads {@link failure}; the error's name when absent.
   * @throws {@link MdevError} `ENODEV` when it is closed, `EIO` when it has failed; `RangeError` for an error that AER was
   * declared without. Nothing has happened then.
   */
  error(error: PciError, cause?: unknown): ErrorReport {
    return this.#errors.add(error, cause);
  }

  /**
   * Pauses a running instance.
   * @param limit Milliseconds to wait at most; without it, as long as the behaviour takes.
   * @throws {@link MdevError} `ENOTTY` when its behaviour cannot, `ETIMEDOUT` when it did not in time and goes on, else what the life cycle says.
   */
  async quiesce(limit?: number): Promise<void> {
    this.#life.check('quiesce');
    const { quiesce } = this.#behaviour;
    if (quiesce === undefined) throw new MdevError('ENOTTY', `${this.#who}: type ${this.type.id} cannot be quiesced`);
    if (this.#quiescing) throw new MdevError('EBUSY', `${this.#who} is being quiesced`);
    this.#quiescing = true;
    const wait = { expired: false };
    const quiesced = (async () => {
      try {
        await quiesce.call(this.#behaviour);
      } catch (error) {
        this.#life.fail('quiesce', error);
        throw error;
      } finally {
        this.#quiescing = false;
      }
      // Nobody waits for it any more.
      if (wait.expired) this.#resumeUnlessEnded();
    })();
    if (limit === undefined) {
      await quiesced;
    } else if (!(await endsWithin(quiesced, limit))) {
      wait.expired = true;
      throw new MdevError('ETIMEDOUT', `${this.#who} was not quiesced within ${limit} ms; it goes on`);
    }
    this.#paused = true;
    // Meanwhile the client may have left: then there is nobody to say when to go on.
    if (this.state !== 'running') this.#resumeUnlessEnded();
    this.#life.check('quiesce');
    this.#function.setPaused(true);
    this.#life.transit('quiesce');
  }

  /**
   * Lets a quiesced instance go on.
   * @throws {@link MdevError} when it is not quiesced, and `EBUSY` when its client has stopped it for a migration.
   */
  resume(): void {
    if (this.#migration?.stopped === true) {
      throw new MdevError('EBUSY', `${this.#who} is stopped by its client, which migrates it`);
    }
    this.#resume();
  }

  /** Asks the client to let go (irq index REQ, `onRequest`) and resolves when no client holds the instance any more. */
  async requestRelease(): Promise<void> {
    const held = this.#attachment;
    if (held === undefined) return;
    this.#released ??= deferred();
    const { promise } = this.#released;
    this.#function.irqs.request();
    this.#life.tell('request', held.holder);
    guarded(() => held.holder.onRequest?.());
    await promise;
  }

  /**
   * Ends the instance: takes it away from its client, stops its work and closes its behaviour. Idempotent. What it
   * took from its parent is given back. Resolves within about 4 s: a behaviour that
   * does not close within 2 s, and tasks that ignore their signal for 2 s, are left alone (`abandoned`).
   */
  close(): Promise<void> {
    // A listener that is told of the close may ask for it too.
    this.#closing ??= this.state === 'closed' ? this.#ended.then(() => undefined) : this.#close();
    return this.#closing;
  }

  get #who(): string {
    return this.#life.who;
  }

  /** {@link attach} and {@link open}. */
  #attach(holder: Holder, options: OpenOptions | undefined): Attachment {
    const held = this.#attachment;
    if (held !== undefined) {
      throw new MdevError('EBUSY', `${this.#who} is held by ${held.holder.name} since ${held.since.toISOString()}`);
    }
    // As vfio-pci resets a function that is opened: nothing else could mend it for a client that begins with config space.
    if (this.state === 'frozen') this.#reset('client');
    this.#life.check('attach');
    const { container } = options ?? {};
    this.#takeMemory(holder, options);
    const attachment = createAttachment(holder, container, {
      isActive: (candidate) => candidate === this.#attachment,
      start: () => {
        this.#life.check('start');
        this.#started = true;
        this.#life.transit('start');
      },
      detach: () => {
        this.#detach();
      },
    });
    this.#attachment = attachment;
    try {
      this.#guestErrors.start();
      this.#life.transit('attach');
    } catch (error) {
      this.#detach();
      throw error;
    }
    if (attachment.active) this.#life.tell('attached', holder);
    this.#checkHeld(attachment);
    return attachment;
  }

  /** Takes hold of the group, and what the container has. Nothing is left of it when it throws. */
  #takeMemory(holder: Holder, options: OpenOptions | undefined): void {
    const { bridge, container } = options ?? {};
    const name = container === undefined ? holder.name : `${holder.name} with container ${container.name}`;
    this.group.hold(this.#member, { addressSpace: container ?? {}, name });
    try {
      container?.add(this.#member, bridge);
    } catch (error) {
      this.group.release(this.#member);
      throw error;
    }
  }

  /** @throws `MdevError` when who was told of the hold has ended it. */
  #checkHeld(attachment: Attachment): void {
    if (attachment.active) return;
    const code = this.state === 'closed' ? 'ENODEV' : this.state === 'failed' ? 'EIO' : 'EBUSY';
    throw new MdevError(
      code,
      `${this.#who} was taken away from ${attachment.holder.name} at once; it is ${this.state}`,
    );
  }

  /** Ends the client's hold, whatever the state. */
  #detach(): void {
    const held = this.#attachment;
    if (held === undefined) return;
    this.#attachment = undefined;
    // Before its memory goes: what the device does not find any more then is no fault of its guest.
    this.#guestErrors.stop();
    held.container?.remove(this.#member);
    this.#function.core.clientGone();
    this.group.release(this.#member);
    this.#started = false;
    this.#migration?.release();
    if (this.state !== 'closed') {
      const wasQuiesced = this.state === 'quiesced';
      this.#life.transit('detach');
      // Who was told may have closed or failed it.
      if (wasQuiesced && this.#life.state === 'created') this.#resumeBehaviour();
    }
    this.#life.tell('detached', held.holder);
    this.#released?.resolve();
    this.#released = undefined;
  }

  #resetByClient(): number {
    try {
      this.#reset('client');
      return 0;
    } catch {
      // The instance has failed and has told so.
      return EIO;
    }
  }

  #reset(cause: ResetCause, kind: 'cold' | 'function' = 'function'): void {
    if (this.state === 'failed') throw new MdevError('EIO', `${this.#who} has failed; it cannot be reset`);
    if (this.state === 'closed') throw new MdevError('ENODEV', `${this.#who} is closed`);
    const frozen = this.state === 'frozen';
    if (frozen) this.#function.rejoin();
    const failure = this.#life.attempt('reset', () => {
      this.#function.reset(cause, kind);
    });
    if (failure !== undefined)
      throw new MdevError('EIO', `${this.#who} failed during a reset`, { cause: failure.error });
    if (!frozen) return;
    // It was paused when it froze, and goes on now.
    if (this.#paused && !this.#function.isolated) this.#resumeBehaviour();
    // What the reset told may have closed, failed or mended the instance, or frozen it again.
    if (this.#life.state !== 'frozen') return;
    if (this.#function.isolated) {
      this.#migration?.fail();
      throw new MdevError('EIO', `${this.#who} froze again during its reset`);
    }
    this.#life.transit(this.#attachment === undefined ? 'recoverIdle' : this.#started ? 'recover' : 'recoverAttached');
  }

  /** After a pause that nobody wants any more. A frozen one goes on with the reset that mends it. */
  #resumeUnlessEnded(): void {
    this.#paused = true;
    if (!['frozen', 'failed', 'closed'].includes(this.state)) this.#resumeBehaviour();
  }

  #resumeBehaviour(): MdevFailure | undefined {
    this.#paused = false;
    this.#function.setPaused(false);
    return this.#life.attempt('resume', () => {
      callSynchronously('resume', () => this.#behaviour.resume?.());
    });
  }

  #resume(): void {
    this.#life.check('resume');
    const failure = this.#resumeBehaviour();
    if (failure !== undefined) throw new MdevError('EIO', `${this.#who} failed to resume`, { cause: failure.error });
    this.#life.transit('resume');
  }

  #migrationOf(behaviour: MdevBehaviour): MigrationMachine | undefined {
    const { migration, quiesce, resume } = behaviour;
    if (migration === undefined) return undefined;
    if (quiesce === undefined || resume === undefined) {
      throw new DeclarationError(`type ${this.type.id}: a behaviour with migration needs quiesce and resume`);
    }
    const state = new DeviceState({
      type: `${this.parent.driverName}-${this.type.id}`,
      attributes: this.attributes,
      function: this.#function,
      behaviour: migration,
    });
    const { answersWithin } = this.platform;
    return new MigrationMachine({
      stop: () => this.quiesce(answersWithin),
      resume: () => {
        this.#resume();
      },
      begin: (early) => state.begin(early),
      save: async () => {
        const saved = state.save();
        if (await endsWithin(saved, answersWithin)) return await saved;
        throw new MdevError('ETIMEDOUT', `${this.#who} was not saved within ${answersWithin} ms`);
      },
      estimate: () => state.estimate(),
      receive: () => state.receive(),
      restore: (stream) => {
        state.restore(stream);
      },
    });
  }

  #isolate(): void {
    try {
      this.#function.isolate();
    } catch {
      // It is cut off natively; that its behaviour cannot even stop changes nothing any more.
    }
  }

  async #close(): Promise<void> {
    const reason = `${this.#who} is removed`;
    this.#life.transit('close');
    const held = this.#attachment;
    this.#detach();
    guarded(() => held?.holder.onRevoked?.(reason));
    this.#isolate();
    this.#tasks.end();
    const abandoned: string[] = [];
    let failure: unknown;
    try {
      const behaviourClosed = Promise.resolve(this.#behaviour.close?.());
      if (!(await endsWithin(behaviourClosed, CLOSE_LIMIT_MS))) abandoned.push('close');
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#function.core.close();
      abandoned.push(...(await this.#tasks.settled(CLOSE_LIMIT_MS)));
      this.parent.groups.leave(this.#groupKey, this.group, this.#member);
      if (abandoned.length > 0) this.#life.tell('abandoned', abandoned);
      this.#life.tell('closed');
      this.#end(failure);
    }
  }
}
