import { array, compile, reg32, reg64, registerBlock, RegisterRegion, ro, rw } from '../../../src/emulation/index.ts';
import { type IoEventFd, type Migration, VfioError } from '../../../src/mdev/index.ts';
import { createDeviceCore, createRegisterTable, type DeviceCore } from '../../../src/native/binding.ts';
import { type DeviceHandle, deviceHandle } from '../../../src/native/device-handle.ts';
import type { Attachment, Holder, ServedDevice, ServedRegion } from '../../../src/vfio-user/index.ts';

/** Registers of region 0. SCRATCH, STATUS and CONTROL are served by C++; the others have hooks. */
export const testBlock = registerBlock(0x4000, {
  ID: reg32(0x00, { number: ro(31, 0) }, { reset: 0x1234_5678 }),
  CONTROL: reg32(0x04, { number: rw(31, 0) }),
  /** Its value before a read is what `onRead` says; a write goes to `onWrite`. */
  HOOKED: reg32(0x08, { number: rw(31, 0) }),
  SCRATCH: array(0x1000, 8, 0x400, { WORD: reg64(0, { number: rw(63, 0) }) }),
});

/** Where things are in region 0. */
export const Offset = { id: 0, control: 4, hooked: 8, scratch: 0x1000, scratchEnd: 0x3000 } as const;

/** A region without a port, to be read only: all ones. */
export const ONES_REGION = 1;
/** A large region without a port. */
export const LARGE_REGION = 2;
/** Bytes of that region: more than a message can carry. */
export const LARGE_SIZE = 4 * 1024 * 1024;
/** A region that is not there. */
export const ABSENT_REGION = 5;
export const CONFIG_REGION = 7;
export const INTX = 0;
export const MSI = 1;
export const MSIX = 2;
export const ERR = 3;
export const REQ = 4;
export const MSI_VECTORS = 8;
export const MSIX_VECTORS = 2048;

/** A small device over a `DeviceCore`, for tests of what serves one. */
export class TestDevice implements ServedDevice, Disposable {
  readonly core: DeviceCore = createDeviceCore();
  readonly handle: DeviceHandle = deviceHandle(this.core);
  readonly regions: ServedRegion[] = [
    { size: 0x4000, flags: 3 },
    { size: 4096, flags: 1 },
    { size: LARGE_SIZE, flags: 3 },
    { size: 0, flags: 0 },
    { size: 0, flags: 0 },
    { size: 0, flags: 0 },
    { size: 0, flags: 0 },
    { size: 4096, flags: 3 },
    { size: 0, flags: 0 },
  ];
  readonly irqs = [
    { count: 1, flags: 7 },
    { count: MSI_VECTORS, flags: 9 },
    { count: MSIX_VECTORS, flags: 1 },
    { count: 1, flags: 9 },
    { count: 1, flags: 9 },
  ];
  onWrite: (value: number) => void = () => undefined;
  onRead: () => number = () => 0;
  onReset: () => number = () => 0;
  /** What hooks threw. */
  readonly failures: unknown[] = [];
  readonly registers: RegisterRegion<typeof testBlock>['registers'];
  /** Why it cannot be held, as an errno's name. */
  refusal: string | undefined;
  migration: Migration | undefined;
  ioEventFds: (IoEventFd & { readonly region: number })[] = [];
  holder: Holder | undefined;
  /** Holds so far. */
  holds = 0;
  resets = 0;

  constructor() {
    const { core } = this;
    const hooks = {
      HOOKED: {
        beforeRead: () => ({ number: this.onRead() }),
        afterWrite: (next: { readonly number: number }) => {
          this.onWrite(next.number);
        },
      },
    };
    const table = compile(testBlock, hooks);
    const memory = core.setRegisterRegion(0, 0x4000, 3, createRegisterTable(table.bytes));
    const region = new RegisterRegion(table, { hooks, memory });
    this.registers = region.registers;
    core.setRegion(ONES_REGION, 4096, 1);
    core.setRegion(LARGE_REGION, LARGE_SIZE, 3);
    core.setRegion(CONFIG_REGION, 4096, 3);
    core.setIrqCount(INTX, 1);
    core.setIrqCount(MSI, MSI_VECTORS);
    core.setIrqCount(MSIX, MSIX_VECTORS);
    core.setIrqCount(ERR, 1);
    core.setIrqCount(REQ, 1);
    core.setEnforceMemoryDecode(false);
    core.setBusMaster(true);
    core.setTrapHandler({
      access: (_index, offset, data, write) => {
        if (write) region.write(offset, data);
        else region.read(offset, data);
        return 0;
      },
      reset: () => {
        this.resets += 1;
        return this.onReset();
      },
      onFailure: (error) => {
        this.failures.push(error);
      },
    });
  }

  attach(holder: Holder): Pick<Attachment, 'start' | 'detach'> {
    if (this.refusal !== undefined) {
      throw new VfioError(this.refusal, `the device is held by ${this.refusal}`);
    }
    if (this.holder !== undefined) throw new VfioError('EBUSY', 'held twice');
    this.holder = holder;
    this.holds += 1;
    return {
      start: () => undefined,
      detach: () => {
        if (this.holder === holder) this.holder = undefined;
      },
    };
  }

  /** The 64-bit word at a guest address, or the errno's negative when the device cannot read it. */
  guestWord(address: bigint): bigint {
    const into = new Uint8Array(8);
    const errno = this.core.dmaRead(address, into);
    return errno === 0 ? new DataView(into.buffer).getBigUint64(0, true) : -BigInt(Math.abs(errno));
  }

  [Symbol.dispose](): void {
    this.core.close();
  }
}
