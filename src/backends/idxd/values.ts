// Values of fields, as the DSA specification names them.

/** GENSTS.state. */
export const DeviceState = { disabled: 0, enabled: 1, draining: 2, halt: 3 } as const;
/** GENSTS.resetType: the least reset that leaves Halt. */
export const ResetType = { software: 0, functionLevel: 1, warm: 2, cold: 3 } as const;
/** WQCFG.STATUS.state. */
export const QueueState = { disabled: 0, enabled: 1, draining: 2 } as const;
/** WQCFG.MODE.mode. */
export const QueueMode = { shared: 0, dedicated: 1 } as const;

/** SWERROR codes that no completion record carries. */
export const SoftwareError = {
  /** Bus master, ATS, PASID or PRI changed while the device is not Disabled. */
  configurationChanged: 0x51,
  /** CMD written while a command is active. */
  commandActive: 0x52,
} as const;

/** Read buffers of the device, as on Sapphire Rapids. */
export const READ_BUFFERS = 96;
/** Read buffers that every engine of a group needs. */
export const READ_BUFFERS_PER_ENGINE = 4;

/** What an instance's event log may be: there is none, or it has entries of so many bytes. In the order of GENCAP's codes. */
export const EVENT_LOGS = ['off', '64', '128', '256'] as const;
