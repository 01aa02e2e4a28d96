import type { AttributeValues } from '../type/attributes.ts';
import type { MdevBehaviour } from '../type/behaviour.ts';
import { createBehaviour } from '../type/create-behaviour.ts';
import { CopyTurns } from '../dma/device-dma.ts';
import { createContext } from '../type/create-context.ts';
import { DeviceErrors } from '../errors/device-errors.ts';
import { DeviceLife } from './device-life.ts';
import type { DeviceDeclaration } from '../type/device-declaration.ts';
import { MdevFunction } from '../function/mdev-function.ts';
import { GuestErrorWatch } from '../errors/guest-error-watch.ts';
import type { ContainerMember } from '../iommu/container-member.ts';
import type { GroupMember, IommuGroup } from '../iommu/iommu-group.ts';
import type { MdevDeviceEvents } from './mdev-device-events.ts';
import type { MdevType } from '../type/mdev-type.ts';
import type { MigrationMachine } from '../migration/migration-machine.ts';
import type { StateTransfer } from '../migration/state-transfer.ts';
import type { ParentDevice } from '../registry/parent-device.ts';
import type { PlatformCapabilities, PlatformOverrides } from '../platform/platform-capabilities.ts';
import { completePlatform } from '../platform/platform-overrides.ts';
import { Tasks } from './tasks.ts';
import { withPasidHidden } from '../sva/hidden-pasid.ts';
import { InstanceSva } from '../sva/instance-sva.ts';
import { DeviceClosing } from './device-closing.ts';
import { DeviceHold } from './device-hold.ts';
import { migrationOf } from './device-migration.ts';
import { DevicePause } from './device-pause.ts';
import { DeviceResets } from './device-resets.ts';

/** What an instance is made of. */
export interface MdevDeviceOptions {
  readonly uuid: string;
  readonly parent: ParentDevice;
  readonly type: MdevType;
  readonly attributes: AttributeValues;
  readonly resources: Disposable | undefined;
  /** The same for instances that share an IOMMU group; undefined: one of its own. */
  readonly groupKey: string | undefined;
  readonly platform: PlatformOverrides;
  /** Rejects when nobody waits for the creation any more. */
  readonly cancelled: Promise<never>;
}

/** Tells the listeners of an instance, which may throw. */
export type Emit = (event: keyof MdevDeviceEvents, details: readonly unknown[]) => void;

/** The parts of one instance, and what they tell each other. `MdevDevice` is their face. */
export class DeviceParts {
  readonly platform: PlatformCapabilities;
  readonly life: DeviceLife;
  readonly function: MdevFunction;
  readonly errors: DeviceErrors;
  readonly guestErrors: GuestErrorWatch;
  readonly group: IommuGroup;
  readonly pause: DevicePause;
  readonly resets: DeviceResets;
  readonly hold: DeviceHold;
  /** Undefined when its type declares none. */
  readonly sva: InstanceSva | undefined;
  readonly closing: DeviceClosing;
  readonly #options: MdevDeviceOptions;
  readonly #tasks: Tasks;
  readonly #turns = new CopyTurns();
  #behaviour: MdevBehaviour = {};
  #migration: MigrationMachine | undefined;
  #transfer: StateTransfer | undefined;

  constructor(options: MdevDeviceOptions, emit: Emit) {
    const { groupKey, parent, type } = options;
    this.#options = options;
    const platform = completePlatform(options.platform);
    const declaration = type.declarationOf(options.attributes, platform);
    this.platform = Object.freeze(withPasidHidden(platform, declaration.configSpace));
    const behaviour = (): MdevBehaviour => this.#behaviour;
    const migration = (): MigrationMachine | undefined => this.#migration;
    const life = this.#makeLife(emit);
    this.life = life;
    this.#tasks = new Tasks((error) => {
      life.fail('task', error);
    });
    this.function = this.#makeFunction(declaration);
    this.sva = this.#makeSva(() => this.#behaviour);
    this.errors = new DeviceErrors(this.function, life, () => this.hold.attachment !== undefined);
    this.guestErrors = new GuestErrorWatch(() => this.function.guestErrors(), {
      found: (error) => {
        life.tell('guestError', error);
      },
      failed: (error) => {
        life.fail('guestErrors', error);
      },
    });
    this.pause = new DevicePause({ life, function: this.function, behaviour, type: type.id });
    this.resets = new DeviceResets({
      life,
      function: this.function,
      pause: this.pause,
      recovery: () => this.hold.recovery,
    });
    const member: GroupMember & ContainerMember = {
      who: life.who,
      core: this.function.core,
      fail: (error) => {
        life.fail('container', error);
      },
    };
    this.group = parent.groups.join(groupKey, member);
    const { function: mdevFunction, group, guestErrors, pause, resets, sva } = this;
    const clientGone = (): void => {
      this.#turns.clientGone();
      sva?.clientGone();
    };
    const subject = { life, function: mdevFunction, group, member, guestErrors, pause, resets, migration, clientGone };
    this.hold = new DeviceHold(subject);
    this.closing = new DeviceClosing({
      life,
      function: mdevFunction,
      hold: this.hold,
      tasks: this.#tasks,
      isolate: () => {
        this.#isolate();
      },
      closeBehaviour: () => this.#behaviour.close?.(),
      leaveGroup: () => {
        group.leave(member);
        sva?.close();
      },
    });
  }

  /** Undefined when the instance cannot be migrated. */
  get migration(): MigrationMachine | undefined {
    return this.#migration;
  }

  /** Undefined when the instance cannot be migrated. */
  get transfer(): StateTransfer | undefined {
    return this.#transfer;
  }

  /**
   * Makes the behaviour and gives it the function.
   * @throws What the vendor's `create` throws, and what the declarations refuse. The instance is to be closed then.
   */
  async begin(): Promise<void> {
    const { attributes, cancelled, parent, type } = this.#options;
    const { function: mdevFunction, life, pause, sva } = this;
    const context = createContext({
      ...this.#options,
      function: mdevFunction,
      sva,
      who: life.who,
      typeId: type.id,
      tasks: this.#tasks,
      turns: this.#turns,
      fail: (error) => {
        life.fail('behaviour', error);
      },
      freeze: (error) => {
        life.freeze('behaviour', error);
      },
      error: (error, cause) =>
        life.state === 'failed' || life.state === 'closed' ? undefined : this.errors.add(error, cause),
    });
    this.#behaviour = await createBehaviour(() => type.create(context), cancelled);
    // What `create` started may have failed already.
    if (life.failure !== undefined) throw life.failure.error;
    mdevFunction.bind(this.#behaviour);
    const subject = {
      who: life.who,
      type: type.id,
      driver: parent.driverName,
      attributes,
      attributeDefaults: type.parseAttributes({}),
      function: mdevFunction,
      pause,
      life,
      hold: this.hold,
      checkMigratable: () => sva?.checkMigratable(),
    };
    const ways = migrationOf(subject, this.#behaviour);
    this.#migration = ways?.migration;
    this.#transfer = ways?.transfer;
  }

  #makeLife(emit: Emit): DeviceLife {
    const { parent, type, uuid } = this.#options;
    const isIsolated = (): boolean => this.function.isolated;
    return new DeviceLife(
      { uuid, parent: parent.name, type: type.id },
      {
        get isolated() {
          return isIsolated();
        },
        emit,
        cutOff: (state) => {
          this.#isolate();
          if (state === 'failed') {
            this.#migration?.fail();
            this.#tasks.end();
          } else {
            this.#migration?.freeze();
            this.#tasks.reset();
          }
        },
      },
    );
  }

  #makeFunction(declaration: DeviceDeclaration): MdevFunction {
    return new MdevFunction(declaration, this.platform, {
      failed: (path, error) => {
        this.life.fail(path, error);
      },
      wasReset: (kind, cause) => {
        this.#tasks.reset();
        // It runs after a reset, if it was its client that had stopped it.
        if (this.#migration?.reset() === true && this.life.state === 'quiesced') this.pause.release('client');
        this.life.tell('reset', { kind, cause });
      },
      resetByClient: () => this.resets.resetByClient(),
    });
  }

  #makeSva(behaviour: () => MdevBehaviour): InstanceSva | undefined {
    const { parent, type } = this.#options;
    const { function: mdevFunction, life } = this;
    if (type.sva === undefined) return undefined;
    const sva = new InstanceSva({
      who: life.who,
      declaration: type.sva,
      configSpace: mdevFunction.configSpace,
      core: mdevFunction.core,
      registers: () => mdevFunction.config.svaRegisters,
      pool: parent.pasids,
      gate: mdevFunction.gate,
      behaviour: () => behaviour().sva,
      attempt: (path, action) => {
        life.attempt(path, action);
      },
    });
    mdevFunction.followedBy(sva);
    return sva;
  }

  #isolate(): void {
    try {
      this.function.isolate();
    } catch {
      // It is cut off natively; that its behaviour cannot even stop changes nothing any more.
    }
  }
}
