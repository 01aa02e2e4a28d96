// An environment of its own that serves a device, with nothing but the addon: a Worker cannot load the TypeScript sources.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

const built = fileURLToPath(new URL('../../../crates-free/native/build/Release/mdev.node', import.meta.url));
const { Channel, Connection, DeviceCore, Listener } = createRequire(import.meta.url)(
  process.env.MDEV_NATIVE_PATH ?? built,
);
const VERSION = 1;
const EINVAL = 22;

const device = new DeviceCore();
device.setRegion(0, 4096, 3);
device.setEnforceMemoryDecode(false);
const connection = new Connection(device, workerData.fd, {
  message(command, body) {
    if (command !== VERSION) return EINVAL;
    connection.negotiated({ maxTransfer: 65_536, writeMultiple: false });
    return body;
  },
  refused() {},
  closed() {},
  failed() {},
});
// And the other objects of this layer, left open.
const channel = new Channel(workerData.channel, { message() {}, closed() {} });
const listener = new Listener(workerData.path, { connection() {}, failed() {} });
channel.send(new Uint8Array(100), []);
parentPort.postMessage([listener !== undefined]);
