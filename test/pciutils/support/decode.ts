import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What `lspci -nvvv` says about each of these config spaces. */
export function decode(images: readonly Uint8Array[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'mdev-lspci-'));
  try {
    const lines = images.flatMap((bytes, device) => [
      `${(device >> 5).toString(16).padStart(2, '0')}:${(device & 31).toString(16).padStart(2, '0')}.0 device`,
      ...Array.from({ length: bytes.length / 16 }, (_, row) => {
        const pairs = [...bytes.subarray(16 * row, 16 * row + 16)].map((byte) => byte.toString(16).padStart(2, '0'));
        return `${(16 * row).toString(16).padStart(2, '0')}: ${pairs.join(' ')}`;
      }),
      '',
    ]);
    const file = join(folder, 'dump');
    writeFileSync(file, `${lines.join('\n')}\n`);
    const text = execFileSync('lspci', ['-F', file, '-nvvv'], { encoding: 'utf8', stdio: 'pipe' });
    return text.trimEnd().split('\n\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
