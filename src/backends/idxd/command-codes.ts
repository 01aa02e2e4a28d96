// CMD.code and CMDSTATUS.error. DSA specification 9.2.12 and 9.2.13.

/** Administrative commands that this device has. */
export const Command = {
  enableDevice: 1,
  disableDevice: 2,
  drainAll: 3,
  abortAll: 4,
  resetDevice: 5,
  enableQueue: 6,
  disableQueue: 7,
  drainQueue: 8,
  abortQueue: 9,
  resetQueue: 10,
  drainPasid: 11,
  abortPasid: 12,
  requestInterruptHandle: 13,
  releaseInterruptHandle: 14,
} as const;

/** Errors of every command. */
export const CommandError = {
  none: 0x00,
  unsupported: 0x01,
  queueIndex: 0x02,
  hardware: 0x03,
  reservedField: 0x04,
  halt: 0x05,
  /** Disable Device. */
  deviceNotEnabled: 0x31,
  /** Disable, Drain, Abort Queue: one or more of the queues are not enabled. */
  queueNotEnabled: 0x32,
  /** Request and Release Interrupt Handle: no such entry. */
  interruptTableIndex: 0x41,
} as const;

/** Errors of Enable Device. */
export const EnableDeviceError = {
  notDisabled: 0x10,
  busMaster: 0x12,
  queueSizes: 0x14,
  groupMembers: 0x15,
  groupQueues: 0x16,
  groupEngines: 0x17,
  readBuffers: 0x18,
  eventLog: 0x19,
  /** In EVLCFG. */
  pasid: 0x1b,
} as const;

/** Errors of Enable Queue. */
export const EnableQueueError = {
  deviceNotEnabled: 0x20,
  notDisabled: 0x21,
  size: 0x22,
  priority: 0x23,
  mode: 0x24,
  blockOnFault: 0x25,
  pasidEnable: 0x26,
  batchSize: 0x27,
  transferSize: 0x28,
  privileged: 0x2a,
  occupancyInterrupt: 0x2b,
  atsDisable: 0x2c,
  operations: 0x2d,
  prsDisable: 0x2e,
} as const;

/** CMDCAP, or what a device without CMDCAP has: one bit per command code. */
export function supportedCommands(interruptHandles: boolean): number {
  return interruptHandles ? 0x7ffe : 0x1ffe;
}
