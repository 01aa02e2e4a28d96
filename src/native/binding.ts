/**
 * The native addon, typed: the one door to this layer. Not exported by the package: `src/engine`, `src/mdev` and `src/vfio-user` build on it.
 *
 * Every method checks its arguments and throws a TypeError or RangeError that names the argument; a method that answers
 * for a guest or a client returns 0 or a positive errno instead. Other layers declare the objects that they add in files
 * of their own and take them from {@link addon}.
 */
export { addon } from './addon.ts';
export { createDeviceCore, type DeviceCore, type DeviceStatistics } from './device-core/device-core.ts';
export type { DmaInfo, DmaMap, MessageMemoryHandler } from './device-core/guest-memory.ts';
export type { TrapHandler } from './device-core/regions.ts';
export { eventfd, type EventFd, signalFd } from './event-fd.ts';
export { closeFd, duplicateFd } from './file-descriptor.ts';
export { mapSealedFile, memoryFile, type MemoryFile } from './memory-file.ts';
export { whileReadersAreOut } from './reader-exclusion.ts';
export { createRegisterTable, type RegisterTable } from './register-table.ts';
