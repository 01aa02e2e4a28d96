import type { DeviceCore } from '../../native/binding.ts';

/** A device in a container. */
export interface ContainerMember {
  /** For messages. */
  readonly who: string;
  readonly core: DeviceCore;
  /** The device still has memory that was to be taken away, and is not in the container any more: nobody may use it. */
  fail(error: unknown): void;
}
