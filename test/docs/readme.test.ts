// The README's backend is compiled against the sources, and run against what was built.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { VfioIrq, VfioRegion } from '../../src/mdev/index.ts';
import { type Client, connect, eventfd, memoryFile } from '../../src/vfio-user/index.ts';
import { distProgram } from '../cli/support/dist.ts';
import { errorsOf } from './support/compile.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const example = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? '';

describe('the README’s backend', () => {
  it('compiles', () => {
    expect(example).toContain('defineMdevType');
    expect(errorsOf(example)).toEqual([]);
  });

  it('does not compile with a misspelt field', () => {
    const misspelt = example.replace('afterWrite({ length })', 'afterWrite({ lenght })');
    expect(misspelt).not.toBe(example);
    expect(errorsOf(misspelt)).toContainEqual(expect.stringContaining("'lenght' does not exist"));
  });

  describe('runs', () => {
    /** A program imports its own package by name only from within it. */
    const folder = join(root, 'test-results');
    let place = '';
    let server: ChildProcess | undefined;
    let client: Client;

    beforeAll(async () => {
      mkdirSync(folder, { recursive: true });
      place = mkdtempSync(join(folder, 'readme-'));
      // Everything in dist is up to date then.
      await distProgram('mdev/index.js');
      const socketPath = join(place, 's');
      const text = example.replace('/run/acme.sock', socketPath);
      expect(text).not.toBe(example);
      const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext };
      const program = join(place, 'example.mjs');
      writeFileSync(program, `${ts.transpileModule(text, { compilerOptions }).outputText}\nconsole.log('ready');\n`);
      server = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 });
      const { stdout } = server;
      if (stdout === null) throw new Error('no pipe');
      for await (const _line of stdout) break;
      client = await connect({ socketPath });
    });

    afterAll(async () => {
      await client.close();
      server?.kill('SIGKILL');
      rmSync(place, { recursive: true, force: true });
    });

    it('copies guest memory and raises its interrupt', async () => {
      const file = memoryFile(8192);
      const memory = new Uint8Array(file.buffer);
      memory.fill(0x5a, 0, 1000);
      const interrupt = eventfd();
      await client.dmaMap({ iova: 0x10000n, size: 8192n, file });
      await client.setIrqs({ index: VfioIrq.msix, eventfds: [interrupt.fd] });
      await client.writeRegister(VfioRegion.config, 0x04, 2, 0x6);
      const raised = new Promise((done) => {
        interrupt.onSignal(done);
      });
      await client.writeRegister64(0, 0x10, 0x10000n);
      await client.writeRegister64(0, 0x18, 0x11000n);
      await client.writeRegister(0, 0x20, 4, 1000);
      expect(await raised).toBe(1);
      expect(await client.readRegister(0, 0x0c, 4)).toBe(1);
      expect(memory.subarray(4096, 4096 + 1000).every((byte) => byte === 0x5a)).toBe(true);
      expect(memory[4096 + 1000]).toBe(0);
      await client.writeRegister(0, 0x0c, 4, 1);
      expect(await client.readRegister(0, 0x0c, 4)).toBe(0);

      // Memory that is not there is the guest's error, not the device's end.
      const again = new Promise((done) => {
        interrupt.onSignal(done);
      });
      await client.writeRegister64(0, 0x10, 0xffff_0000n);
      await client.writeRegister(0, 0x20, 4, 1000);
      await again;
      expect(await client.readRegister(0, 0x0c, 4)).toBe(2);
      interrupt.close();
      file.close();
    });
  });
});
