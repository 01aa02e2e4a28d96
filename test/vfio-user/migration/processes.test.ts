import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { VfioIrq } from '../../../src/mdev/index.ts';
import { type Client, connect, eventfd } from '../../../src/vfio-user/index.ts';
import { distProgram } from '../../cli/support/dist.ts';
import { restored, saved } from '../../mdev/support/migratable.ts';

const script = fileURLToPath(new URL('../support/migratable-server.mjs', import.meta.url));

/** A served device in a process of its own, and its client. */
async function served(socketPath: string): Promise<{ client: Client; end: () => Promise<unknown> }> {
  await distProgram('cli/main.js');
  const child = spawn(process.execPath, [script, socketPath], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 60_000 });
  await once(child.stdout, 'data');
  const client = await connect({ socketPath });
  const end = async (): Promise<unknown> => {
    await client.close();
    child.stdin.end();
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  };
  return { client, end };
}

it('a device goes from one process to another', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mdev-migration-'));
  const source = await served(join(directory, 'source.sock'));
  const target = await served(join(directory, 'target.sock'));
  const memory = Uint8Array.from({ length: 0x10000 }, (_, index) => (index * 31) >>> 3);
  await source.client.writeRegister(7, 4, 2, 6);
  await source.client.writeRegister(7, 0x42, 2, 0x8000);
  await source.client.writeRegion(2, 0, memory);
  for (let slot = 0; slot < 16; slot++) await source.client.writeRegister(0, 0x100 + 4 * slot, 4, 0xa0 + slot);
  for (const vector of [2, 7]) await source.client.writeRegister(0, 0, 4, vector);
  const registers = await source.client.readRegion(0, 0, 0x1000);

  const stream = await saved(source.client, 7000);
  await expect(restored(target.client, stream.subarray(0, -1), 7000)).rejects.toMatchObject({ code: 'EINVAL' });
  await restored(target.client, stream, 9001);
  expect(await source.end()).toBe(0);

  expect(await target.client.readRegion(2, 0, 0x10000)).toEqual(memory);
  expect(await target.client.readRegion(0, 0, 0x1000)).toEqual(registers);
  const lines = Array.from({ length: 8 }, () => eventfd());
  await target.client.setIrqs({ index: VfioIrq.msix, eventfds: lines.map(({ fd }) => fd) });
  expect(lines.flatMap((line, vector) => (line.read() > 0 ? [vector] : []))).toEqual([2, 7]);
  for (const line of lines) line.close();
  expect(await target.end()).toBe(0);
  rmSync(directory, { recursive: true });
});
