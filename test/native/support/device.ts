import { compile, reg32, registerBlock, rw, w1c } from '../../../src/emulation/index.ts';
import {
  createDeviceCore,
  createRegisterTable,
  type DeviceCore,
  type TrapHandler,
} from '../../../src/native/binding.ts';

export const EIO = 5;
export const EFAULT = 14;
export const EBUSY = 16;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ENOTTY = 25;
export const ENOTCONN = 107;

/** VFIO regions, and their flags for reading and writing. */
export const BAR0 = 0;
export const CONFIG = 7;
export const READ_WRITE = 3;

/** VFIO irq index, and SET_IRQS flags. */
export const MSIX = 2;
export const TRIGGER_NONE = 0x21;
export const TRIGGER_BOOL = 0x22;
export const TRIGGER_EVENTFD = 0x24;

const block = registerBlock(0x20, {
  PLAIN: reg32(0x00, { all: rw(31, 0) }),
  CAUSE: reg32(0x04, { done: w1c(0) }, { shared: true }),
  HOOKED: reg32(0x08, { all: rw(31, 0) }),
});

/** A table of 0x20 bytes with a plain register at 0, a shared one at 4, and one at 8 that traps in both directions. */
export const table = createRegisterTable(
  compile(block, { HOOKED: { beforeRead: () => ({}), afterWrite: () => ({}) } }).bytes,
);

/** A device whose config region, 0x100 bytes, has the registers of {@link table}. */
export function device(handler: Partial<TrapHandler> = {}): {
  readonly core: DeviceCore;
  readonly words: Uint32Array;
  readonly failures: unknown[];
} {
  const core = createDeviceCore();
  const words = new Uint32Array(core.setRegisterRegion(CONFIG, 0x100, READ_WRITE, table), 0, 8);
  const failures: unknown[] = [];
  core.setTrapHandler({ access: () => 0, reset: () => 0, onFailure: (error) => failures.push(error), ...handler });
  return { core, words, failures };
}

/** Bytes from numbers. */
export function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** Runs `work` and closes what it worked on. */
export function closing<T extends { close(): void }>(resource: T, work: (resource: T) => void): void {
  try {
    work(resource);
  } finally {
    resource.close();
  }
}
