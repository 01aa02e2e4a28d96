import { DeclarationError } from '../../emulation/index.ts';
import { messageOf } from '../base/message-of.ts';
import type { AttributeValues } from '../type/attributes.ts';
import type { MdevBehaviour } from '../type/behaviour.ts';
import type { DeviceLife } from './device-life.ts';
import { endsWithin } from '../base/ends-within.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { DeviceState } from '../migration/device-state.ts';
import { DEFAULT_PAYLOAD_MAX, type MigrationBehaviour } from '../migration/migration-behaviour.ts';
import { MigrationState } from '../migration/migration.ts';
import { MigrationMachine } from '../migration/migration-machine.ts';
import { InstanceTransfer, type StateTransfer } from '../migration/state-transfer.ts';
import type { DeviceHold } from './device-hold.ts';
import type { DevicePause } from './device-pause.ts';

/** What is migrated. */
export interface MigrationSubject {
  /** For messages. */
  readonly who: string;
  readonly type: string;
  /** The driver of the parent. */
  readonly driver: string;
  readonly attributes: AttributeValues;
  readonly attributeDefaults: AttributeValues;
  readonly function: MdevFunction;
  readonly pause: Pick<DevicePause, 'quiesce' | 'quiesceFrozen' | 'release' | 'suspend' | 'suspendToLeave'>;
  readonly life: Pick<DeviceLife, 'fail' | 'failure' | 'freeze' | 'state'>;
  readonly hold: Pick<DeviceHold, 'abandon'>;
  /** @throws {@link MdevError} `EBUSY` when the instance has what does not migrate. */
  readonly checkMigratable: () => void;
}

/** The two ways of an instance's state to another one. */
export interface DeviceMigration {
  /** Its client's. */
  readonly migration: MigrationMachine;
  /** Its owner's. */
  readonly transfer: StateTransfer;
}

/**
 * The migration of an instance, or undefined when its behaviour has none.
 * @throws DeclarationError when the behaviour has migration and cannot be paused, does not say which locks are held, or has a version or size that is none.
 */
export function migrationOf(subject: MigrationSubject, behaviour: MdevBehaviour): DeviceMigration | undefined {
  const { attributeDefaults, attributes, driver, function: mdevFunction, hold, life, pause, type, who } = subject;
  const { checkMigratable } = subject;
  const { migration, quiesce, resume } = behaviour;
  if (migration === undefined) return undefined;
  if (quiesce === undefined || resume === undefined) {
    throw new DeclarationError(`type ${type}: a behaviour with migration needs quiesce and resume`);
  }
  checkNumbers(type, migration);
  const locked = mdevFunction.registers.all().find(([, region]) => region.hasLocks);
  if (locked !== undefined && migration.takeLocks === undefined) {
    throw new DeclarationError(
      `type ${type}: migration of registers with locks (VFIO region ${locked[0]}) needs takeLocks`,
    );
  }
  const state = new DeviceState({
    type: `${driver}-${type}`,
    attributes,
    attributeDefaults,
    function: mdevFunction,
    behaviour: migration,
    frozen: {
      reason: () => (life.state === 'frozen' ? messageOf(life.failure?.error) : undefined),
      inError: (): boolean => machine.state === MigrationState.error,
      freeze: (reason, inError) => {
        life.freeze('migration', new Error(`it was frozen where it came from: ${reason}`));
        if (inError) machine.failUnlessMoved();
      },
    },
    fail: (path, error) => {
      life.fail(path, error);
    },
  });
  const { answersWithin } = mdevFunction.platform;
  const save = async (limit: number): Promise<Uint8Array> => {
    const saved = state.save();
    if (await endsWithin(saved, limit)) return await saved;
    throw new MdevError('ETIMEDOUT', `${who} was not saved within ${Math.ceil(limit)} ms; it stays where it was`);
  };
  const checkRestorable = (): void => {
    if (life.state !== 'frozen') return;
    throw new MdevError('EIO', `${who} is frozen: only a reset mends it, and then it can take another's state`);
  };
  const machine: MigrationMachine = new MigrationMachine({
    answersWithin,
    stop: async (limit) => {
      checkMigratable();
      await (life.state === 'frozen' ? pause.quiesceFrozen('client', limit) : pause.quiesce('client', limit));
    },
    resume: () => {
      pause.release('client');
    },
    begin: (early) => {
      checkMigratable();
      return state.begin(early);
    },
    save,
    estimate: () => state.estimate(),
    receive: () => {
      checkRestorable();
      return state.receive();
    },
    restore: (stream) => {
      state.restore(stream);
    },
  });
  const transfer = new InstanceTransfer(state, {
    who,
    save: async ({ within = answersWithin }) => {
      checkMigratable();
      return await save(within);
    },
    checkRestorable,
    suspend: async ({ unlessQuiesced = false, within = answersWithin }) => {
      checkMigratable();
      // A frozen one is in error, which is no way to anywhere.
      if (machine.state !== MigrationState.running && life.state !== 'frozen') {
        throw new MdevError('EBUSY', `${who} is being migrated by its client; try again when that is over`);
      }
      await (unlessQuiesced ? pause.suspendToLeave(within) : pause.suspend('transfer', within));
    },
    resume: () => {
      pause.release('transfer');
    },
    abandon: () => {
      hold.abandon();
    },
  });
  return { migration: machine, transfer };
}

/** What no stream can carry, or no device takes, would be found out when the source has stopped. */
function checkNumbers(type: string, { maximumSize = DEFAULT_PAYLOAD_MAX, version }: MigrationBehaviour): void {
  for (const [name, value] of Object.entries({ version, maximumSize })) {
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new DeclarationError(
      `type ${type}: migration.${name} is ${value}; expected a whole number from 0 to 2^53 - 1`,
    );
  }
}
