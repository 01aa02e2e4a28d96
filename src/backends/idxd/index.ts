/**
 * The Intel Data Streaming Accelerator (DSA 1.0) as a parent of mediated devices, in software.
 *
 * @packageDocumentation
 */
export { Command, CommandError, EnableDeviceError, EnableQueueError } from './command-codes.ts';
export type { DsaDescription } from './description.ts';
export { PORTAL_STRIDE, portalSize, vectorCount } from './layout.ts';
export { DRIVER_NAME, softwareDsa, type SoftwareDsaOptions } from './parent.ts';
export { CLASS_CODE, DEVICE_ID, VENDOR_ID } from './pci.ts';
export { type DsaRegisterBlock, dsaRegisters } from './registers.ts';
export { DeviceState, QueueMode, QueueState, ResetType, SoftwareError } from './values.ts';
