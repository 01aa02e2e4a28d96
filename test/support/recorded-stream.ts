import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const STREAMS = join(ROOT, 'test', 'streams');

/**
 * The streams of one device that releases have written, by release: see `test/streams/README.md`.
 * @param record makes the one of this release; called if the environment asks for it.
 */
export async function recordedStreams(
  file: string,
  record: () => Promise<Uint8Array>,
): Promise<readonly (readonly [release: string, stream: Uint8Array])[]> {
  if (process.env['MDEV_RECORD_STREAMS'] === '1') {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };
    mkdirSync(join(STREAMS, version), { recursive: true });
    writeFileSync(join(STREAMS, version, file), await record());
  }
  const releases = readdirSync(STREAMS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return releases.map(({ name }) => [name, Uint8Array.from(readFileSync(join(STREAMS, name, file)))]);
}
