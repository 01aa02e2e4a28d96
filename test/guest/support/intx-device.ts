import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { reg32, registerBlock, rw, w1c } from '../../../src/emulation/index.ts';
import { defineMdevType, MdevRegistry, mmio, ParentDevice } from '../../../src/mdev/index.ts';
import { serve } from '../../../src/vfio-user/index.ts';
import type { GuestDevice, Server } from './server.ts';

/** Asserts INTx when DOORBELL is written, until 1 is written to STATUS. */
const registers = registerBlock(0x1000, {
  DOORBELL: reg32(0x00, { ring: rw(31, 0) }),
  STATUS: reg32(0x04, { pending: w1c(0) }),
});

const type = defineMdevType({
  id: 'bell',
  pci: { vendorId: 0x1d0f, deviceId: 0x1001, classCode: 0x088000, interruptPin: 1, capabilities: [], size: 256 },
  regions: { bar0: mmio(registers, { width: 32, prefetchable: false }) },
  create: ({ bar0, irqs }) => ({
    hooks: {
      bar0: {
        DOORBELL: {
          afterWrite() {
            bar0.registers.STATUS.pending = true;
            irqs.intx.assert();
          },
        },
        STATUS: {
          afterWrite() {
            if (!bar0.registers.STATUS.pending) irqs.intx.deassert();
          },
        },
      },
    },
  }),
});

/** A device with nothing but an interrupt pin and two registers, served by the test's own process. */
export function intxDevice(): GuestDevice {
  return { start: startIntxDevice };
}

async function startIntxDevice(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'mdev-intx-'));
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'bell0', driverName: 'bell', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'bell0', type: type.id });
  const path = join(folder, 'socket');
  const server = serve(device, { socketPath: path });
  const events: string[] = [];
  server.on('disconnected', (_client, reason) => events.push(`disconnected: ${reason}`));
  server.on('refused', (_client, message) => events.push(`refused: ${message}`));
  device.on('failed', ({ error }) => events.push(`failed: ${String(error)}`));

  async function close(): Promise<void> {
    await server.close();
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  }

  return {
    deviceArgument: JSON.stringify({ driver: 'vfio-user-pci', socket: { type: 'unix', path } }),
    diagnostics: () => events.join('\n'),
    isRunning: () => device.state !== 'failed' && device.state !== 'closed',
    stop: close,
    [Symbol.asyncDispose]: close,
  };
}
