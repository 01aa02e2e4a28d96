import { HEADER_SIZE } from '../constants.ts';
import { viewOf } from './bytes.ts';

/** A message's header. */
export interface Header {
  readonly id: number;
  readonly command: number;
  /** Bytes of the message, header included. */
  readonly size: number;
  readonly flags: number;
  /** Of an error reply. */
  readonly errno: number;
}

/** Decodes the header at the start of a message; undefined when there are fewer than 16 bytes. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_SIZE) return undefined;
  const view = viewOf(bytes);
  return {
    id: view.getUint16(0, true),
    command: view.getUint16(2, true),
    size: view.getUint32(4, true),
    flags: view.getUint32(8, true),
    errno: view.getUint32(12, true),
  };
}

/** A message: its header, with the true size unless `header` says another one, and its body. */
export function encodeMessage(
  header: Pick<Header, 'id' | 'command'> & Partial<Header>,
  body: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + body.length);
  const view = viewOf(bytes);
  view.setUint16(0, header.id, true);
  view.setUint16(2, header.command, true);
  view.setUint32(4, header.size ?? bytes.length, true);
  view.setUint32(8, header.flags ?? 0, true);
  view.setUint32(12, header.errno ?? 0, true);
  bytes.set(body, HEADER_SIZE);
  return bytes;
}
