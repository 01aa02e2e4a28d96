/**
 * vfio-user: a server that gives a device to a VMM in another process, and a client for VMMs and tests in TypeScript.
 *
 * @packageDocumentation
 */
export {
  type Attachment,
  type DeviceInfo,
  type DmaMapRequest,
  type DmaRange,
  eventfd,
  type EventFd,
  type FeatureRequest,
  type Holder,
  type IrqInfo,
  type IrqLine,
  type MappedArea,
  type MappedRegion,
  memoryFile,
  type MemoryFile,
  type MmapArea,
  type RegionCapabilities,
  type RegionInfo,
  type SetIrqsRequest,
  VfioDevice,
  VfioError,
  type WriteOptions,
} from '../mdev/index.ts';
export { Client } from './client/client.ts';
export type { RegionEventFd, RegionEventFds, RegionWriteRequest } from './client/requests.ts';
export { connect, type ConnectAddress, type ConnectOptions } from './client/connect.ts';
export { Command, DeviceFlag, DmaRight, HEADER_SIZE, IrqSetFlag, MessageFlag } from './protocol/constants.ts';
export { type HandOverOptions } from './handover/give.ts';
export { HandoverError, type HandoverErrorCode } from './handover/handover-error.ts';
export { type HandoverAddress, HandoverOffer, requestHandover } from './handover/take.ts';
export { listenForSuccessor, type SuccessorEvents, type SuccessorListener } from './handover/successor-listener.ts';
export type { InstanceFacts } from './handover/messages.ts';
export type { ServedDevice } from './server/served-device.ts';
export type { ServedRegion } from './server/answers/region-info.ts';
export { serve } from './server/serve.ts';
export type { ServeAddress, ServeOptions } from './server/serve-options.ts';
export type { Server } from './server/server.ts';
export type { ServerEvents } from './server/server-events.ts';
export type { Capabilities, Version } from './protocol/version.ts';
