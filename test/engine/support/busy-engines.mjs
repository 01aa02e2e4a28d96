// Leaves engines in the middle of long copies, with everything open: as a Worker it waits to be terminated, as a process
// it ends in the way that its argument names. Plain JavaScript, because a Worker of Node 20 does not load TypeScript; the
// register table comes from the test.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort } from 'node:worker_threads';

const built = fileURLToPath(new URL('../../../crates-free/native/build/Release/mdev.node', import.meta.url));
const addon = createRequire(import.meta.url)(process.env.MDEV_NATIVE_PATH || built);
const { DeviceCore, Engine, Group, MemoryFile, QueueDevice, RegisterTable, supportedOperations } = addon;

const MIB = 1 << 20;
const core = new DeviceCore();
const table = new RegisterTable(Buffer.from(process.env.MDEV_TEST_TABLE, 'hex'));
const words = new Uint32Array(core.setRegisterRegion(0, 0x1000, 3, table));
core.setRegion(2, 16384, 3);
core.setMemoryDecode(true);
core.setBusMaster(true);
core.setIrqCount(2, 9);
const memory = new MemoryFile(32 * MIB, true);
core.dmaMap(0n, BigInt(32 * MIB), 3, memory.fd, 0n);

const group = new Group(32);
group.setEngines([new Engine('busy'), new Engine('busy')]);
const registers = Uint32Array.of(0xc0, 0x98, 0x88, 0x418, 32, 0x200, 8, 0xffffffff);
const queues = new QueueDevice(core, 2, 0, 1, 9, registers, 1, new Uint32Array(6));
queues.enable(0, group, Uint32Array.of(0xffff, 1, 1, 31, 10, 0, 1, 0, 0, 0, 0, 0), supportedOperations());

const copy = new Uint8Array(64);
const view = new DataView(copy.buffer);
view.setUint32(4, 3 << 24, true);
view.setBigUint64(24, BigInt(16 * MIB), true);
view.setUint32(32, 16 * MIB, true);
for (let i = 0; i < 10_000; i++) core.write(2, 0, copy);
// A command that these copies keep from ending.
queues.command(Uint32Array.of(0), false, false, Uint32Array.of(0xa8, 0, 1), Uint32Array.of(0), undefined, false, false);
if (words[0xa8 / 4] !== 0) throw new Error('the copies are done already');

if (!isMainThread) {
  parentPort.postMessage('busy');
  setInterval(() => undefined, 1000);
} else if (process.argv[2] === 'exit') process.exit(0);
else if (process.argv[2] === 'throw') throw new Error('on purpose');
else if (process.argv[2] === 'close engines last') {
  queues.close();
  core.close();
} else if (process.argv[2] === 'close the device first') {
  core.close();
  queues.close();
}
