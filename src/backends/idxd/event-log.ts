import type { RegisterFile } from '../../emulation/index.ts';
import { CommandError, EnableDeviceError } from './command-codes.ts';
import type { DsaDescription } from './description.ts';
import type { PasidState } from './pasid-state.ts';
import type { DsaRegisterBlock } from './registers.ts';
import { EVENT_LOGS } from './values.ts';

type Registers = RegisterFile<DsaRegisterBlock>;

/** EVLCFG.size that Enable Device takes, at least (DSA specification 9.2.16). */
const LEAST_ENTRIES = 64;

/** GENCAP bits 14:13. */
export function eventLogCode({ eventLog = 'off' }: DsaDescription): number {
  return EVENT_LOGS.indexOf(eventLog);
}

/** The error that Enable Device gives for the size of the event log, or `none`. */
export function checkEventLog({ EVLS, GENCFG }: Registers): number {
  if (!GENCFG.eventLogEnable) return CommandError.none;
  const [log] = EVLS;
  return log === undefined || log.SIZE.entries < LEAST_ENTRIES ? EnableDeviceError.eventLog : CommandError.none;
}

/** The error that Enable Device gives when the event log's PASID is one that the function must not use, or `none`. */
export function checkEventLogPasid({ EVLS, GENCFG }: Registers, pasids: PasidState): number {
  const [log] = EVLS;
  if (log === undefined || !GENCFG.eventLogEnable) return CommandError.none;
  const { pasidEnable, privileged } = log.BASE;
  const isAllowed = (!pasidEnable || pasids.enabled) && (!privileged || pasids.privileged);
  return isAllowed ? CommandError.none : EnableDeviceError.pasid;
}
