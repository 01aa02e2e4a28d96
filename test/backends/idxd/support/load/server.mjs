// Serves a DSA whose queues hold 4,096 descriptors at the socket of its argument, until standard input ends.
import { softwareDsa } from '../../../../../dist/backends/idxd/index.js';
import { MdevRegistry } from '../../../../../dist/mdev/index.js';
import { serve } from '../../../../../dist/vfio-user/index.js';

const registry = new MdevRegistry();
registry.register(softwareDsa({ queues: 5, entries: 4096, groups: 4, engines: 4 }));
const device = await registry.create({ parent: 'dsa0', type: 'dsa-cfg-v1' });
device.on('failed', ({ error }) => process.stderr.write(`failed: ${error}\n`));
const server = serve(device, { socketPath: process.argv[2] });
server.on('failed', (_client, error) => process.stderr.write(`client failed: ${error}\n`));
process.stdout.write('ready\n');
process.stdin.resume().on('end', async () => {
  await server.close();
  await registry.close();
});
