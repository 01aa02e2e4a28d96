import type { QueueDevice, WorkQueueConfig } from '../../engine/index.ts';
import { MdevError } from '../../mdev/index.ts';
import type { CommandContext } from './command-context.ts';
import type { CommandProcessor } from './commands.ts';
import type { DsaBehaviour } from './device.ts';
import { type CompletionEffects, completionEffects } from './completion.ts';
import { enginesOf, queuesOf } from './enable-device-checks.ts';
import { eventLogConfiguration } from './event-log-configuration.ts';
import { checkCompatibility, compatibilityBytes, PAYLOAD_VERSION } from './compatibility.ts';
import { queueConfiguration } from './queue-configuration.ts';
import { bitsOf } from './queue-selection.ts';
import { restoreLocks } from './region.ts';
import { checkRestoredRegisters } from './restored-registers.ts';
import { DeviceState, QueueState } from './values.ts';

/** First byte of the payload: of the command that runs. */
const RunningCommand = { interrupts: 1, resetsDevice: 2 } as const;

/** What moves with a device besides its registers: what these do not say of the command that runs (one byte), and its queues. */
export function dsaMigration(
  context: Pick<CommandContext, 'device' | 'groups' | 'pasids' | 'region'>,
  queues: QueueDevice,
  commands: CommandProcessor,
): NonNullable<DsaBehaviour['migration']> {
  const { device, groups, region } = context;
  const { registers } = region;

  /** How the registers have configured a queue; undefined when it is disabled, or was reset by a command that still runs. */
  const configurationOf = (index: number): WorkQueueConfig | undefined => {
    const queue = registers.WQCFG[index];
    const group = registers.GRPCFG.findIndex((candidate) => ((queuesOf(candidate) >> BigInt(index)) & 1n) === 1n);
    if (queue === undefined || queue.STATUS.state === QueueState.disabled) return undefined;
    if (group < 0 || queue.MODE.priority === 0) return undefined;
    return { group: groups.group(group), ...queueConfiguration(context, queue) };
  };

  /** What the command that runs still has to do; registers and flags say which it is. Undefined when there is none. */
  const remainingEffects = (flags: number): CompletionEffects | undefined => {
    if (!registers.CMDSTATUS.active) return undefined;
    return completionEffects(region, {
      queues: [...registers.WQCFG.entries()]
        .filter(([, queue]) => queue.STATUS.state === QueueState.draining)
        .map(([index]) => index),
      disableDevice: registers.GENSTS.state === DeviceState.draining,
      resetDevice: (flags & RunningCommand.resetsDevice) !== 0,
      interrupt: (flags & RunningCommand.interrupts) !== 0,
    });
  };

  /** The command that runs resets the device. */
  let resetsDevice = false;

  return {
    version: PAYLOAD_VERSION,
    compatibility: () => compatibilityBytes(region, device),
    accepts: (version, compatibility) => {
      checkCompatibility(region, device, version, compatibility);
    },
    save: () => {
      const state = queues.state();
      const payload = new Uint8Array(1 + state.length);
      payload[0] =
        (commands.interrupts ? RunningCommand.interrupts : 0) |
        (region.locks.resetActive ? RunningCommand.resetsDevice : 0);
      payload.set(state, 1);
      return payload;
    },
    restore: (payload) => {
      const [flags = 0xff] = payload;
      if (flags > 3) throw new MdevError('EINVAL', `the flags of the command are ${flags}; expected 0 to 3`);
      checkRestoredRegisters(region, device, context.pasids());
      resetsDevice = (flags & RunningCommand.resetsDevice) !== 0;
      const configurations = registers.WQCFG.map((_, index) => configurationOf(index));
      queues.restore(payload.subarray(1), configurations, remainingEffects(flags), eventLogConfiguration(context));
      commands.interrupts = (flags & RunningCommand.interrupts) !== 0;
      if (registers.GENSTS.state === DeviceState.disabled) return;
      groups.assign(registers.GRPCFG.map((group) => bitsOf(enginesOf(group))));
    },
    takeLocks: () => {
      restoreLocks(region);
      region.locks.resetActive = resetsDevice && registers.CMDSTATUS.active;
    },
  };
}
