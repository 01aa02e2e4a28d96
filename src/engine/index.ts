/**
 * Engines, groups and work queues for backends: the data path of devices that take descriptors through portals, after
 * the DSA specification. TypeScript configures it; descriptors never reach JavaScript.
 */
export { Engine, type EngineOptions } from './engine.ts';
export { Group, type GroupOptions } from './group.ts';
export { supportedOperations } from './operations.ts';
export type { CommandEffects, QueueCommand } from './queue-command.ts';
export { type DeviceHandle, QueueDevice, type SoftwareErrorReport } from './queue-device.ts';
export type {
  EventLogConfig,
  QueueCapabilities,
  QueueDeviceOptions,
  RegisterPlaces,
  SharedRegisters,
  WorkQueueConfig,
} from './queue-options.ts';
export type { EventLogStatistics, QueueStatistics } from './queue-statistics.ts';
export { supportedTypedCapabilities, type TypedCapabilities } from './typed-capabilities.ts';
