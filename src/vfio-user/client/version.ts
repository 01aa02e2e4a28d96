import {
  Command,
  MAX_DMA_MAPS,
  MAX_MESSAGE_FDS,
  MAX_TRANSFER,
  PAGE_SIZE,
  VERSION_MAJOR,
  VERSION_MINOR,
} from '../protocol/constants.ts';
import { type Capabilities, readVersion, type Version, writeVersion } from '../protocol/version.ts';
import type { Question, Reply } from './request-channel.ts';

/** What a client says of itself. */
const CAPABILITIES: Capabilities = {
  max_msg_fds: MAX_MESSAGE_FDS,
  max_data_xfer_size: MAX_TRANSFER,
  max_dma_maps: MAX_DMA_MAPS,
  pgsizes: PAGE_SIZE,
  write_multiple: true,
  migration: { pgsize: PAGE_SIZE, max_bitmap_size: MAX_TRANSFER },
};

/** What client and server agreed on. */
export interface Agreement {
  readonly version: Version;
  /** The client's end of the twin socket, if there is one. */
  readonly twin: number | undefined;
}

/** VERSION, with `offer` instead of the client's own. */
export function versionQuestion(offer: Partial<Version>): Question<Agreement> {
  const offered = { major: VERSION_MAJOR, minor: VERSION_MINOR, capabilities: CAPABILITIES, ...offer };
  const replyFds = offered.capabilities.twin_socket?.supported === true ? 1 : 0;
  return { command: Command.version, body: writeVersion(offered), replyFds, decode: agreement };
}

function agreement({ body, fds }: Reply): Agreement | undefined {
  const version = readVersion(body);
  if ('problem' in version) return undefined;
  const { twin_socket: twinSocket } = version.capabilities;
  const twin = twinSocket?.supported === true ? fds[twinSocket.fd_index ?? 0] : undefined;
  return fds.length === (twin === undefined ? 0 : 1) ? { version, twin } : undefined;
}
