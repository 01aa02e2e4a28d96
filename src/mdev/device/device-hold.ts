import { type Attachment, createAttachment, type Holder } from './attachment.ts';
import { deferred, type Deferred } from '../base/deferred.ts';
import type { DeviceLife } from './device-life.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { guarded } from '../base/guarded.ts';
import type { GuestErrorWatch } from '../errors/guest-error-watch.ts';
import type { Container } from '../iommu/container.ts';
import type { ContainerMember } from '../iommu/container-member.ts';
import type { GroupMember, IommuGroup } from '../iommu/iommu-group.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { MigrationMachine } from '../migration/migration-machine.ts';
import type { DevicePause } from './device-pause.ts';
import type { DeviceResets, Recovery } from './device-resets.ts';

/** Where an instance gets its guest memory from. */
export interface OpenOptions {
  /** An address space that it shares with other instances of the same owner; one of its own when absent. */
  readonly container: Container;
  /** The guest's bridge whose virtual IOMMU the instance is behind, as the container's model says it; none when absent. */
  readonly bridge?: string;
}

/** What a {@link DeviceHold} is a hold on. */
export interface HoldSubject {
  readonly life: DeviceLife;
  readonly function: Pick<MdevFunction, 'core' | 'irqs'>;
  readonly group: IommuGroup;
  readonly member: GroupMember & ContainerMember;
  readonly guestErrors: Pick<GuestErrorWatch, 'start' | 'stop'>;
  readonly pause: Pick<DevicePause, 'goOnUnlessTransferred' | 'paused' | 'transferred'>;
  readonly resets: Pick<DeviceResets, 'reset'>;
  readonly migration: () => Pick<MigrationMachine, 'release'> | undefined;
  /** What else a client has of the instance ends: its PASIDs. */
  clientGone(): void;
}

/** How often a client is asked to let go: as `vfio_unregister_group_dev` in Linux asks. */
const REQUEST_AGAIN_MS = 10_000;

/** Who holds one instance, and with it its group and an address space. */
export class DeviceHold {
  readonly #subject: HoldSubject;
  #attachment: Attachment | undefined;
  /** The client has begun to use the instance. */
  #started = false;
  #released: Deferred | undefined;
  /** Asks the client again. */
  #reminder: NodeJS.Timeout | undefined;

  constructor(subject: HoldSubject) {
    this.#subject = subject;
  }

  /** The client that holds it. */
  get attachment(): Attachment | undefined {
    return this.#attachment;
  }

  /** What the reset of a frozen instance leads to. */
  get recovery(): Recovery {
    if (this.#attachment === undefined) return 'recoverIdle';
    if (!this.#started) return 'recoverAttached';
    return this.#subject.pause.paused ? 'recoverQuiesced' : 'recover';
  }

  /** @throws {@link MdevError} see `MdevDevice.attach` and `MdevDevice.open`. */
  attach(holder: Holder, options: OpenOptions | undefined): Attachment {
    const { guestErrors, life, pause, resets } = this.#subject;
    const held = this.#attachment;
    if (held !== undefined) {
      throw new MdevError('EBUSY', `${life.who} is held by ${held.holder.name} since ${held.since.toISOString()}`);
    }
    const frozen = life.state === 'frozen';
    if (!frozen) life.check('attach');
    // A frozen one that was paused goes on with its reset, unless its state is being taken, or somebody else goes on with it.
    if (frozen ? pause.transferred : pause.paused)
      throw new MdevError('EBUSY', `${life.who} is suspended by its owner`);
    this.#takeMemory(holder, options);
    try {
      // As vfio-pci resets a function that is opened: nothing else could mend it for a client that begins with config space.
      if (frozen) resets.reset('client');
      life.check('attach');
    } catch (error) {
      this.#giveMemoryBack(options);
      throw error;
    }
    const attachment = createAttachment(holder, options?.container, {
      isActive: (candidate) => candidate === this.#attachment,
      start: () => {
        life.check('start');
        this.#started = true;
        life.transit('start');
      },
      detach: () => {
        this.detach();
      },
    });
    this.#attachment = attachment;
    try {
      guestErrors.start();
      life.transit('attach');
    } catch (error) {
      this.detach();
      throw error;
    }
    if (attachment.active) life.tell('attached', holder);
    this.check(attachment);
    return attachment;
  }

  /** @throws {@link MdevError} when who was told of the hold has ended it. */
  check(attachment: Attachment): void {
    if (attachment.active) return;
    const { state, who } = this.#subject.life;
    const code = state === 'closed' ? 'ENODEV' : state === 'failed' ? 'EIO' : 'EBUSY';
    throw new MdevError(code, `${who} was taken away from ${attachment.holder.name} at once; it is ${state}`);
  }

  /** Asks the client to let go, at once and every 10 s, and resolves when no client holds the instance any more. */
  async requestRelease(): Promise<void> {
    const held = this.#attachment;
    if (held === undefined) return;
    this.#released ??= deferred();
    const { promise } = this.#released;
    // Before anybody hears of it, who may let go at once.
    if (this.#reminder === undefined) this.#remind(held);
    this.#request(held);
    await promise;
  }

  #request({ holder }: Attachment): void {
    this.#subject.function.irqs.request();
    this.#subject.life.tell('request', holder);
    guarded(() => holder.onRequest?.());
  }

  /** It ends with the hold, and keeps nobody's event loop alive: who waits for the client has a reason of his own to stay. */
  #remind(held: Attachment): void {
    this.#reminder = setInterval(() => {
      this.#request(held);
    }, REQUEST_AGAIN_MS).unref();
  }

  /** Ends the client's hold, whatever the state. */
  detach(): void {
    this.#end({ goesOn: true });
  }

  /** The same when another instance goes on with the client: this one stays paused if it is. */
  abandon(): void {
    this.#end({ goesOn: false });
  }

  #end({ goesOn }: { readonly goesOn: boolean }): void {
    const held = this.#attachment;
    if (held === undefined) return;
    const { guestErrors, life, pause } = this.#subject;
    this.#attachment = undefined;
    clearInterval(this.#reminder);
    this.#reminder = undefined;
    // Before its memory goes: what the device does not find any more then is no fault of its guest.
    guestErrors.stop();
    this.#giveMemoryBack(held);
    this.#started = false;
    this.#subject.migration()?.release();
    if (life.state !== 'closed') {
      const wasQuiesced = life.state === 'quiesced';
      life.transit('detach');
      // Who was told may have closed or failed it.
      if (goesOn && wasQuiesced && this.#subject.life.state === 'created') pause.goOnUnlessTransferred();
    }
    life.tell('detached', held.holder);
    this.#released?.resolve();
    this.#released = undefined;
  }

  /** Takes hold of the group, and what the container has. Nothing is left of it when it throws. */
  #takeMemory(holder: Holder, options: OpenOptions | undefined): void {
    const { group, member } = this.#subject;
    const { bridge, container } = options ?? {};
    const name = container === undefined ? holder.name : `${holder.name} with container ${container.name}`;
    group.hold(member, { addressSpace: container ?? {}, name });
    try {
      container?.add(member, bridge);
    } catch (error) {
      group.release(member);
      throw error;
    }
  }

  #giveMemoryBack(from: { readonly container?: Container | undefined } | undefined): void {
    const { function: mdevFunction, group, member } = this.#subject;
    this.#subject.clientGone();
    from?.container?.remove(member);
    mdevFunction.core.clientGone();
    group.release(member);
  }
}
