// Serves itself a device, and ends in the middle of a message in the way that its argument names.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('../../../crates-free/native/build/Release/mdev.node', import.meta.url));
const addon = createRequire(import.meta.url)(process.env.MDEV_NATIVE_PATH || built);

const version = new Uint8Array(20);
version[2] = 1;
version[4] = 20;

const device = new addon.DeviceCore();
const [near, far] = addon.socketPair();
const listener = new addon.Listener(process.argv[3], { connection() {}, failed() {} });
const connection = new addon.Connection(device, near, {
  message(_command, body) {
    connection.negotiated({ maxTransfer: 4096, writeMultiple: false });
    if (process.argv[2] === 'exit in a message') process.exit(0);
    if (process.argv[2] === 'throw in a message') throw new Error('on purpose');
    return body;
  },
  refused() {},
  closed() {},
  failed(error) {
    if (error.message !== 'on purpose') process.exit(3);
  },
});
const channel = new addon.Channel(far, {
  message() {
    if (process.argv[2] === 'exit in a reply') process.exit(0);
    // Nothing holds the loop any more.
    channel.close('done');
    listener.close();
  },
  closed() {},
});
channel.send(version, []);
