import type { ServedConnection } from '../server/served-connection.ts';
import type { ServedDevice } from '../server/served-device.ts';

/** What a server lets a handover do with it. */
export interface HandoverSubject {
  readonly device: ServedDevice;
  /** Of the listening socket, when the server has made it. */
  readonly socketPath: string | undefined;
  /** The listening socket, or -1. */
  readonly listener: number;
  readonly connections: readonly ServedConnection[];
  /**
   * A successor prepares; everything goes on meanwhile.
   * @param closed Called when the server is closed. Undefined: it prepares no more.
   */
  prepare(closed: ((reason: string) => void) | undefined): void;
  /** Takes no clients any more. @param left Called when a client leaves, or the server is closed, while it is paused, or was closed before. */
  pause(left: (reason: string) => void): void;
  /** It is being decided who goes on: what would close the server waits for that. */
  decide(): void;
  /** Ends `pause`: clients are taken again, unless the server was to be closed meanwhile. Connections resume by themselves. */
  resume(): void;
  /** Closes without any client's noticing: another process has them all. */
  handedOver(): void;
}
