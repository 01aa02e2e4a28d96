import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { closeFd } from '../../src/native/binding.ts';
import { VfioRegion } from '../../src/mdev/index.ts';
import { channelOf } from '../../src/vfio-user/client/client.ts';
import { type Client, connect, VfioError } from '../../src/vfio-user/index.ts';
import { socketPair } from '../../src/vfio-user/native.ts';
import { type Running, start, type StartOptions } from './support/run.ts';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdev-serve-'));
  path = join(folder, 'socket');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Starts `mdev serve --type dsa-1dwq-v1` with more words. */
async function serve(words: readonly string[], options: StartOptions = {}): Promise<Running> {
  return await start('cli/main.js', ['serve', '--type', 'dsa-1dwq-v1', ...words], options);
}

async function client(address: { socketPath: string } | { fd: number }): Promise<Client> {
  return await connect(address);
}

async function stop(server: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  server.child.kill(signal);
  const { code } = await server.ended;
  expect(code).toBe(0);
}

/** Vendor and device id. */
async function identity(of: Client): Promise<number> {
  return await of.readRegister(VfioRegion.config, 0, 4);
}
const DSA = 0x0b25_8086;
const COMMAND = 4;

describe('the ready line', () => {
  it('has QEMU’s and Cloud Hypervisor’s arguments, ready for a shell', async () => {
    const uuid = '5F1C0000-0000-4000-8000-00000000ABCD';
    await using server = await serve(['--socket-path', path, '--uuid', uuid]);
    const line = await server.line();
    const qemu = /-device '([^']+)'/.exec(line)?.[1] ?? '';
    expect(JSON.parse(qemu)).toEqual({ driver: 'vfio-user-pci', socket: { type: 'unix', path } });
    expect(line).toContain(`--user-device 'socket=${path}'`);
    expect(line).toContain(`serving ${uuid.toLowerCase()} (dsa-1dwq-v1 on dsa0)`);
    await stop(server);
    expect((await server.ended).stdout).toBe(`${line}\n`);
    expect((await server.ended).stderr).toBe('');
  });

  it('is JSON with --json', async () => {
    await using server = await serve(['--socket-path', path, '--set', 'priority=3', '--json']);
    const ready = JSON.parse(await server.line()) as Record<string, unknown>;
    expect(ready).toEqual({
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      parent: 'dsa0',
      type: 'dsa-1dwq-v1',
      attributes: expect.objectContaining({ entries: 16, priority: 3 }) as unknown,
      socketPath: path,
      qemu: ['-device', JSON.stringify({ driver: 'vfio-user-pci', socket: { type: 'unix', path } })],
      cloudHypervisor: ['--user-device', `socket=${path}`],
    });
    await stop(server);
  });
});

describe('mdev serve --socket-path', () => {
  it('serves one client after another and keeps the device’s state between them', async () => {
    await using server = await serve(['--socket-path', path]);
    await server.line();
    const first = await client({ socketPath: path });
    expect(await identity(first)).toBe(DSA);
    await first.writeRegister(VfioRegion.config, COMMAND, 2, 0x6);
    expect(await server.told(/^mdev: .*came$/m)).toContain(`vfio-user client of ${path}, process ${process.pid} came`);
    await first.close();
    await server.told(/^mdev: .*went: .*$/m);

    const second = await client({ socketPath: path });
    expect(await second.readRegister(VfioRegion.config, COMMAND, 2)).toBe(0x6);
    await second.close();
    await server.told(/went: [^]*went: /);
    await stop(server);
    expect((await server.ended).stderr.trimEnd().split('\n')).toHaveLength(4);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 on %s, also while a client is there', async (signal) => {
    await using server = await serve(['--socket-path', path]);
    await server.line();
    const holder = await client({ socketPath: path });
    await stop(server, signal);
    await holder.closed;
    expect(existsSync(path)).toBe(false);
  });

  it('refuses a path that another server serves at, which goes on', async () => {
    await using first = await serve(['--socket-path', path]);
    await first.line();
    const second = await (await serve(['--socket-path', path])).ended;
    expect(second.code).toBe(1);
    expect(second.stdout).toBe('');
    expect(second.stderr).toMatch(
      /^mdev: [^\n]*socket; stop what serves there, or choose another --socket-path\n$|^mdev: [^\n]*; stop what serves there, or choose another --socket-path\n$/,
    );
    const user = await client({ socketPath: path });
    expect(await identity(user)).toBe(DSA);
    await user.close();
    await stop(first);
  });

  it('replaces the socket of a server that was killed', async () => {
    await using first = await serve(['--socket-path', path]);
    await first.line();
    first.child.kill('SIGKILL');
    await first.ended;
    expect(existsSync(path)).toBe(true);
    await using second = await serve(['--socket-path', path]);
    await second.line();
    await stop(second);
  });

  it('tells the second of two clients that the device is held', async () => {
    await using server = await serve(['--socket-path', path]);
    await server.line();
    const holder = await client({ socketPath: path });
    await expect(connect({ socketPath: path })).rejects.toMatchObject({ code: 'EBUSY' });
    await server.told(/^mdev: .*version refused with EBUSY.*$/m);
    expect(await identity(holder)).toBe(DSA);
    await holder.close();
    await stop(server);
  });

  it('tells what it refuses, and does not repeat itself', async () => {
    await using server = await serve(['--socket-path', path]);
    await server.line();
    const hostile = await client({ socketPath: path });
    for (let command = 1000; command < 1100; command++) {
      await expect(channelOf(hostile).request(command, new Uint8Array(0))).rejects.toBeInstanceOf(VfioError);
    }
    await hostile.close();
    await server.told(/went: /);
    await stop(server);
    const { stderr } = await server.ended;
    expect(stderr).toMatch(/^mdev: vfio-user client [^\n]*: command 1000 refused with E[A-Z]+$/m);
    expect(stderr.split('\n').length).toBeLessThan(10);
  });

  it('tells what its guest does wrong: the first of each kind while it happens, all as numbers in the end', async () => {
    await using server = await serve(['--socket-path', path, '--json']);
    const { uuid } = JSON.parse(await server.line()) as { readonly uuid: string };
    const guest = await client({ socketPath: path });
    await guest.writeRegister(VfioRegion.config, COMMAND, 2, 0x6);
    // WQCFG[0].SIZE of a device in fixed configuration, and the portal of a queue that is disabled.
    for (let count = 0; count < 50; count++) await guest.writeRegister(0, 0x800, 4, 1);
    await guest.writeRegion(2, 0x1000, new Uint8Array(64), { posted: true });
    await server.told(/frozenWrites: .*\n(?:.*\n)*?.*WQ 0 disabled: .*\n/);
    // CMD while there is nothing to disable is refused in CMDSTATUS: no mistake that anybody must hear of.
    await guest.writeRegister(0, 0xa0, 4, 2 << 20);
    for (let count = 0; count < 50; count++) await guest.writeRegister(0, 0x800, 4, 1);
    await guest.close();
    await server.told(/went: /);
    await stop(server);
    const about = (await server.ended).stderr.split('\n').filter((line) => line.includes(uuid));
    expect(about).toEqual([
      `mdev: instance ${uuid}: frozenWrites: a write was ignored: its register is locked; more of this is only counted`,
      `mdev: instance ${uuid}: WQ 0 disabled: WQ 0 takes nothing and dropped a portal write; more of this is only counted`,
      `mdev: instance ${uuid}: its client holds it no more; the guest had done wrong: 100 frozenWrites, 1 WQ 0 disabled`,
    ]);
  });

  it('goes on when nobody reads its output', async () => {
    await using server = await serve(['--socket-path', path]);
    await server.line();
    server.child.stdout?.destroy();
    server.child.stderr?.destroy();
    for (let turn = 0; turn < 3; turn++) {
      const user = await client({ socketPath: path });
      expect(await identity(user)).toBe(DSA);
      await user.close();
    }
    const user = await client({ socketPath: path });
    expect(await identity(user)).toBe(DSA);
    await stop(server);
  });
});

describe('mdev serve --fd', () => {
  it('serves the client of a connected socket and ends with it', async () => {
    const [ours, theirs] = socketPair();
    await using server = await serve(['--fd', '3'], { sockets: [theirs] });
    closeFd(theirs);
    expect(await server.line()).toMatch(/^serving \S+ \(dsa-1dwq-v1 on dsa0\) to the socket of file descriptor 3$/);
    const user = await client({ fd: ours });
    expect(await identity(user)).toBe(DSA);
    await user.close();
    expect((await server.ended).code).toBe(0);
  });

  it('serves client after client of a listening socket', async () => {
    const listener = await listening(path);
    await using server = await serve(['--fd', '3', '--json'], { sockets: [listener.fd] });
    await listener.close();
    expect(JSON.parse(await server.line())).toMatchObject({ type: 'dsa-1dwq-v1', fd: 3 });
    for (let turn = 0; turn < 2; turn++) {
      const user = await client({ socketPath: path });
      expect(await identity(user)).toBe(DSA);
      await user.close();
    }
    await stop(server);
  });
});

/** A listening socket at `at` that this process does not accept from once it is closed here. */
async function listening(at: string): Promise<{ readonly fd: number; close(): Promise<void> }> {
  const server: NetServer = createServer();
  server.listen(`${at}.made`);
  await once(server, 'listening');
  // Closing the server removes the path that it knows.
  renameSync(`${at}.made`, at);
  const { _handle: handle } = server as unknown as { readonly _handle: { readonly fd: number } };
  return {
    fd: handle.fd,
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}

describe('--write-multiple', () => {
  it.each([
    [[], undefined],
    [['--write-multiple'], true],
  ])('with the words %j a client that offers it hears %s', async (words, accepted) => {
    await using server = await serve(['--socket-path', path, ...words]);
    await server.line();
    await using vmm = await client({ socketPath: path });
    expect(vmm.version?.capabilities.write_multiple).toBe(accepted);
    await stop(server);
  });
});

describe('--platform', () => {
  it('sets what the platform leaves to the device', async () => {
    await using server = await serve(['--socket-path', path, '--platform', 'enforceMemoryDecode=false']);
    await server.line();
    await using vmm = await client({ socketPath: path });
    // VERSION of the DSA, with COMMAND as it is after a reset.
    expect(await vmm.readRegister(VfioRegion.bar0, 0, 4)).toBe(0x100);
    await stop(server);
  });
});

describe('a signal before the ready line', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends with 0 on %s while it waits for who is to hand over',
    async (signal) => {
      const handover = join(folder, 'handover');
      const silent = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.resume();
      }).listen(handover);
      await once(silent, 'listening');
      const asked = once(silent, 'connection');
      await using server = await serve(['--socket-path', path, '--handover', handover]);
      await asked;
      await stop(server, signal);
      expect(await server.ended).toMatchObject({ stdout: '', stderr: '' });
      expect(existsSync(path)).toBe(false);
      silent.close();
    },
  );
});
