import type { Group, QueueDevice } from '../../engine/index.ts';

/** What the device's behaviour needs of the engine's side of the instance. */
export type Queues = Pick<
  QueueDevice,
  'enable' | 'openEventLog' | 'setThreshold' | 'command' | 'reset' | 'recordError' | 'close'
>;

/** The engines behind the groups of one device. */
export interface GroupBacking {
  /**
   * Gives the device's groups their engines, as the guest configured them.
   * @param engines Per group, the engines' indices within the device.
   */
  assign(engines: readonly (readonly number[])[]): void;
  /** The group of that index within the device. */
  group(index: number): Group;
}
