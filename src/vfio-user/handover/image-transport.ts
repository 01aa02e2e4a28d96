import { closeFd } from '../../native/binding.ts';
import { SCM_MAX_FD } from '../protocol/constants.ts';
import { HandoverError } from './handover-error.ts';
import type { HandoverPeer } from './handover-peer.ts';
import type { ImagePart } from './image.ts';
import { CHUNK_BYTES, decodeTotal, encodeBody, HandoverKind, IMAGE_BYTES_MAX, IMAGE_FDS_MAX } from './messages.ts';

/** Sends an image: at most 253 file descriptors are under way at a time. @param check throws when it is to end. */
export async function sendImage(
  peer: HandoverPeer,
  { bytes, fds }: ImagePart,
  deadline: number,
  check: () => void,
): Promise<void> {
  let [byte, fd] = [0, 0];
  while (byte < bytes.length || fd < fds.length) {
    check();
    const chunk = bytes.subarray(byte, byte + CHUNK_BYTES);
    const carried = fds.slice(fd, fd + SCM_MAX_FD);
    byte += chunk.length;
    fd += carried.length;
    peer.send(HandoverKind.chunk, chunk, carried);
    if (carried.length === 0) continue;
    const { body } = await peer.receive([HandoverKind.taken], deadline);
    const taken = body.length === 4 ? new DataView(body.buffer, body.byteOffset).getUint32(0, true) : 0;
    if (taken !== fd) throw new HandoverError('EIO', `the successor has ${taken} file descriptors of ${fd}`);
  }
  check();
  peer.send(HandoverKind.end, encodeBody({ bytes: bytes.length, fds: fds.length }));
}

/**
 * Receives an image, whose file descriptors are the caller's from then on.
 * @throws HandoverError; nothing is left open then.
 */
export async function receiveImage(peer: HandoverPeer, within: number): Promise<ImagePart> {
  const pieces: Uint8Array[] = [];
  const fds: number[] = [];
  let length = 0;
  try {
    for (;;) {
      const message = await peer.receive([HandoverKind.chunk, HandoverKind.end], performance.now() + within);
      fds.push(...message.fds);
      if (message.kind === HandoverKind.end) {
        const total = decodeTotal(message.body);
        if (total?.bytes !== length || total.fds !== fds.length) {
          const expected = `${String(total?.bytes)} bytes and ${String(total?.fds)} file descriptors`;
          throw new HandoverError(
            'EIO',
            `${length} bytes and ${fds.length} file descriptors came; expected ${expected}`,
          );
        }
        return { bytes: Buffer.concat(pieces), fds };
      }
      pieces.push(message.body);
      length += message.body.length;
      if (length > IMAGE_BYTES_MAX || fds.length > IMAGE_FDS_MAX) {
        throw new HandoverError('EIO', `more than ${IMAGE_BYTES_MAX} bytes or ${IMAGE_FDS_MAX} file descriptors came`);
      }
      if (message.fds.length > 0) {
        const body = new Uint8Array(4);
        new DataView(body.buffer).setUint32(0, fds.length, true);
        peer.send(HandoverKind.taken, body);
      }
    }
  } catch (error) {
    for (const fd of fds) closeFd(fd);
    throw error;
  }
}
