import { type ConfigSpace, RegisterRegion } from '../emulation/index.ts';

const BYTES_PER_LINE = 16;

/** Config space as it is after a reset. */
export function resetImage({ block, size }: ConfigSpace): Uint8Array {
  const bytes = new Uint8Array(size);
  new RegisterRegion(block).read(0, bytes);
  return bytes;
}

/**
 * Config space as text that `lspci -F FILE -vvv` decodes.
 *
 * @param bytes - 256 or 4,096 bytes
 */
export function configDump(bytes: Uint8Array): string {
  // lspci takes a line for a device when text follows the address.
  const lines = ['00:00.0 mdev'];
  for (let offset = 0; offset < bytes.length; offset += BYTES_PER_LINE) {
    const line = Array.from(bytes.subarray(offset, offset + BYTES_PER_LINE), (byte) =>
      byte.toString(16).padStart(2, '0'),
    );
    lines.push(`${offset.toString(16).padStart(2, '0')}: ${line.join(' ')}`);
  }
  return `${lines.join('\n')}\n`;
}
