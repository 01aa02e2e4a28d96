// Uses every object of the addon and leaves them open: as a Worker it waits to be terminated, as a process it ends in
// the way that its argument names. Plain JavaScript, because a Worker of Node 20 does not load TypeScript.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort } from 'node:worker_threads';

const built = fileURLToPath(new URL('../../../crates-free/native/build/Release/mdev.node', import.meta.url));
const { DeviceCore, EventFd, MemoryFile } = createRequire(import.meta.url)(process.env.MDEV_NATIVE_PATH || built);

const CONFIG = 7;
const MSIX = 2;
const TRIGGER_EVENTFD = 0x24;

const core = new DeviceCore();
core.setRegion(CONFIG, 4096, 3);
core.setTrapHandler({ access: () => 0, reset: () => 0, onFailure: () => undefined });
core.setIrqCount(MSIX, 1);
core.setBusMaster(true);

const memory = new MemoryFile(1 << 20, true);
core.dmaMap(0n, 1n << 20n, 3, memory.fd, 0n);
core.dmaWrite(0n, new Uint8Array(100));

// An interrupt that raises itself: the loop is in the middle of it whenever the end comes.
const interrupt = new EventFd();
core.setIrqs(TRIGGER_EVENTFD, MSIX, 0, 1, null, [interrupt.fd]);
let calls = 0;
interrupt.onSignal(() => {
  core.triggerIrq(MSIX, 0);
  calls += 1;
  if (calls === 100) ready();
});
core.triggerIrq(MSIX, 0);

function ready() {
  if (!isMainThread) parentPort.postMessage('busy');
  else if (process.argv[2] === 'exit') process.exit(0);
  else if (process.argv[2] === 'fall off') interrupt.unref();
  else throw new Error('on purpose');
}

process.on('uncaughtException', (error) => {
  process.exit(error.message === 'on purpose' ? 7 : 8);
});
