import type { EventLogConfig } from '../../engine/index.ts';
import type { CommandContext } from './command-context.ts';
import { enginesOf } from './enable-device-checks.ts';
import { DeviceState } from './values.ts';

/** Bytes of an entry. */
const ENTRY_SIZES = { off: undefined, '64': 64, '128': 128, '256': 256 } as const;

/**
 * The event log of a device that is enabled or disabling, as its registers say; undefined when it has none in use. A device
 * without engines has no work that could fail.
 */
export function eventLogConfiguration(
  context: Pick<CommandContext, 'device' | 'groups' | 'region'>,
): EventLogConfig | undefined {
  const { EVLS, GENCFG, GENSTS, GRPCFG } = context.region.registers;
  const [log] = EVLS;
  const entrySize = ENTRY_SIZES[context.device.eventLog ?? 'off'];
  const group = GRPCFG.findIndex((candidate) => enginesOf(candidate) !== 0n);
  if (log === undefined || entrySize === undefined || group < 0 || !GENCFG.eventLogEnable) return undefined;
  if (GENSTS.state !== DeviceState.enabled && GENSTS.state !== DeviceState.draining) return undefined;
  return { group: context.groups.group(group), address: log.BASE.page << 12n, entries: log.SIZE.entries, entrySize };
}
