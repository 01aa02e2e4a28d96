import type { QueueDevice, WorkQueueConfig } from '../../engine/index.ts';
import { MdevError } from '../../mdev/index.ts';
import type { CommandContext } from './command-context.ts';
import type { CommandProcessor } from './commands.ts';
import type { DsaBehaviour } from './device.ts';
import { enginesOf, queuesOf } from './enable-device-checks.ts';
import { queueConfiguration } from './queue-configuration.ts';
import { bitsOf } from './queue-selection.ts';
import { DeviceState, QueueState } from './values.ts';

/** What moves with a device besides its registers: whether the command that runs interrupts (one byte), and its queues. */
export function dsaMigration(
  { device, groups, region }: Pick<CommandContext, 'device' | 'groups' | 'region'>,
  queues: QueueDevice,
  commands: CommandProcessor,
): NonNullable<DsaBehaviour['migration']> {
  const { registers } = region;

  /** How the registers have configured a queue; undefined when it is disabled, or was reset by a command that still runs. */
  const configurationOf = (index: number): WorkQueueConfig | undefined => {
    const queue = registers.WQCFG[index];
    const group = registers.GRPCFG.findIndex((candidate) => ((queuesOf(candidate) >> BigInt(index)) & 1n) === 1n);
    if (queue === undefined || queue.STATUS.state === QueueState.disabled) return undefined;
    if (group < 0 || queue.MODE.priority === 0) return undefined;
    return { group: groups.group(group), ...queueConfiguration(registers, queue) };
  };

  return {
    version: 1,
    /** VERSION, OPCAP and the sizes of queues and transfers: what descriptors that are under way may count on. */
    compatibility: () =>
      new TextEncoder().encode(
        JSON.stringify({
          version: registers.VERSION.value,
          operations: device.operations.map(String),
          queues: device.queues,
          entries: device.entries,
          maxTransferShift: device.maxTransferShift,
          maxBatchShift: device.maxBatchShift,
        }),
      ),
    save: () => {
      const state = queues.state();
      const payload = new Uint8Array(1 + state.length);
      payload[0] = Number(commands.interrupts);
      payload.set(state, 1);
      return payload;
    },
    restore: (payload) => {
      const [interrupts = 2] = payload;
      if (interrupts > 1) throw new MdevError('EINVAL', 'the payload has no flag of the command; expected 0 or 1');
      const configurations = registers.WQCFG.map((_, index) => configurationOf(index));
      const entries = configurations.reduce((sum, configuration) => sum + (configuration?.size ?? 0), 0);
      if (entries > device.entries) {
        throw new MdevError('EINVAL', `the queues have ${entries} entries; expected at most ${device.entries}`);
      }
      queues.restore(payload.subarray(1), configurations);
      commands.interrupts = interrupts === 1;
      if (registers.GENSTS.state === DeviceState.disabled) return;
      groups.assign(registers.GRPCFG.map((group) => bitsOf(enginesOf(group))));
    },
  };
}
