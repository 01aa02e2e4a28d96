#!/usr/bin/env node
// serve.mjs registers|idxd SOCKET: serves one instance until SIGTERM or until its standard input ends, so that it never outlives the harness.
// Prints "ready" when clients may come.

import { once } from 'node:events';

import { serve } from 'mdev-user/vfio-user';

import { createIdxd, createRegisters } from './devices.mjs';

const devices = { registers: createRegisters, idxd: createIdxd };
const [name = '', socketPath] = process.argv.slice(2);
const create = Object.hasOwn(devices, name) ? devices[/** @type {keyof typeof devices} */ (name)] : undefined;
if (create === undefined || socketPath === undefined) {
  process.stderr.write('usage: serve.mjs registers|idxd SOCKET\n');
  process.exit(2);
}

const device = await create();
const server = serve(device, { socketPath });
server.on('refused', (client, message) => process.stderr.write(`bench ${name}: ${client}: ${message}\n`));
process.stdout.write('ready\n');
await Promise.race([once(process, 'SIGTERM'), once(process.stdin.resume(), 'close')]);
await server.close();
await device.close();
process.exit();
