// Offsets and values as the data sheet prints them, written down apart from the code under test.

export const VERSION = 0x00;
export const GENCAP = 0x10;
export const WQCAP = 0x20;
export const GRPCAP = 0x30;
export const ENGCAP = 0x38;
export const OPCAP = 0x40;
export const OFFSETS = 0x60;
export const GENCFG = 0x80;
export const GENCTRL = 0x88;
export const GENSTS = 0x90;
export const INTCAUSE = 0x98;
export const CMD = 0xa0;
export const CMDSTATUS = 0xa8;
export const CMDCAP = 0xb0;
export const SWERROR = 0xc0;

/** Table offsets as this device places them (OFFSETS says so to the guest). */
export const msixPermission = (vector: number): number => 0x400 + 8 * vector;
export const grpcfg = (group: number): number => 0x600 + 64 * group;
export const wqcfg = (queue: number): number => 0x800 + 64 * queue;
export const msixEntry = (vector: number): number => 0x2000 + 16 * vector;

export const Code = {
  enableDevice: 1,
  disableDevice: 2,
  drainAll: 3,
  abortAll: 4,
  resetDevice: 5,
  enableWq: 6,
  disableWq: 7,
  drainWq: 8,
  abortWq: 9,
  resetWq: 10,
  drainPasid: 11,
  abortPasid: 12,
  requestHandle: 13,
  releaseHandle: 14,
} as const;

/** Control registers in config space. */
export const ATS_CONTROL = 0x226;
export const PASID_CONTROL = 0x236;
export const PRI_CONTROL = 0x244;

export const ACTIVE = 0x8000_0000;
