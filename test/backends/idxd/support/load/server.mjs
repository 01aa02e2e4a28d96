// Serves a DSA whose queues hold 4,096 descriptors at the socket of its argument, until standard input ends or another one has taken over, which it does
// itself when one is there.
import { softwareDsa } from '../../../../../dist/backends/idxd/index.js';
import { MdevRegistry } from '../../../../../dist/mdev/index.js';
import { listenForSuccessor, requestHandover, serve } from '../../../../../dist/vfio-user/index.js';

const [, , socketPath] = process.argv;
const path = `${socketPath}.handover`;
const registry = new MdevRegistry();
registry.register(softwareDsa({ queues: 5, entries: 4096, groups: 4, engines: 4 }));
const offer = await requestHandover({ path });
const device = await registry.create({ parent: 'dsa0', type: 'dsa-cfg-v1' });
device.on('failed', ({ error }) => process.stderr.write(`failed: ${error}\n`));
const server = offer === undefined ? serve(device, { socketPath }) : await offer.accept(device);
server.on('failed', (_client, error) => process.stderr.write(`client failed: ${error}\n`));
listenForSuccessor(server, path).on('failed', (_successor, error) => process.stderr.write(`${error}\n`));
process.stdout.write('ready\n');
process.stdin.resume().on('end', () => server.close());
await server.closed;
await registry.close();
process.stdin.destroy();
