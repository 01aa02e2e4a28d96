/**
 * vfio-user: a server that gives a device to a VMM in another process, and a client for VMMs and tests in TypeScript.
 *
 * @packageDocumentation
 */
export { eventfd, type EventFd, memoryFile, type MemoryFile } from '../native/binding.ts';
export { Client } from './client.ts';
export type { DmaMapOptions, SetIrqsOptions } from './client-options.ts';
export { connect, type ConnectAddress } from './connect.ts';
export { Command, DeviceFlag, DmaRight, HEADER_SIZE, IrqSetFlag, MessageFlag } from './protocol.ts';
export type { Reply, RequestChannel } from './request-channel.ts';
export type { DeviceHold, DeviceHolder, ServedDevice } from './served-device.ts';
export { serve, type ServeAddress, type ServeOptions, type Server, type ServerEvents } from './server.ts';
export type { DeviceInfo, IrqInfo, RegionInfo } from './structures/index.ts';
export type { Capabilities, Version } from './version.ts';
export { VfioUserError } from './vfio-user-error.ts';
