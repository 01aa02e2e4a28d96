import {
  array,
  msi,
  msix,
  msixRegisters,
  pciExpress,
  powerManagement,
  reg16,
  reg32,
  reg64,
  reg8,
  registerBlock,
  ro,
  rw,
  w1c,
  wo,
} from '../../../../src/emulation/index.ts';
import {
  defineMdevType,
  deviceSpecific,
  io,
  type MdevContext,
  type MdevDevice,
  MdevError,
  MdevRegistry,
  memory,
  mmio,
  ParentDevice,
  rom,
  vendorRegionType,
} from '../../../../src/mdev/index.ts';
import {
  At,
  BELLS,
  Config,
  DMA_LIMIT,
  Fail,
  IDENTITY,
  LOG_CONTENT,
  MSI_VECTORS,
  MSIX_VECTORS,
  ROM_CONTENT,
  TABLE_CONTENT,
} from '../spec/layout.ts';
import { Errno } from '../spec/wire.ts';

const places = {
  vectors: MSIX_VECTORS,
  table: { bar: 0, offset: At.msixTable },
  pba: { bar: 0, offset: At.msixPending },
} as const;

const registers = registerBlock(0x1000, {
  ID: reg32(At.id, { number: ro(31, 0) }, { reset: 0x600d_cafe, constant: true }),
  SCRATCH: reg32(At.scratch, { number: rw(31, 0) }),
  MIXED: reg32(At.mixed, { fixed: ro(3, 0), low: rw(7, 4), high: rw(27, 16) }, { reset: 0xa5 }),
  CAUSE: reg32(At.cause, { events: w1c(15, 0) }, { shared: true }),
  HOOKED: reg32(At.hooked, { number: rw(31, 0) }),
  RAISE: reg32(At.raise, { vector: wo(7, 0), unused: wo(27, 8), kind: wo(29, 28), more: wo(31, 30) }),
  LINE: reg32(At.line, { level: rw(0) }),
  KEPT: reg32(At.kept, { number: rw(31, 0) }, { survives: ['function'] }),
  DMA_ADDRESS: reg64(At.dmaAddress, { address: rw(63, 0) }),
  DMA_LENGTH: reg32(At.dmaLength, { bytes: rw(31, 0) }),
  DMA_GO: reg32(At.dmaGo, { write: wo(0), unused: wo(7, 1), byte: wo(15, 8), more: wo(31, 16) }),
  FAIL: reg32(At.fail, { how: wo(31, 0) }),
  WIDE: array(At.wide, 8, 1, { WORD: reg64(0, { number: rw(63, 0) }) }),
  ...msixRegisters(places),
});

const ports = registerBlock(0x20, {
  PORT0: reg8(0x00, { byte: rw(7, 0) }),
  PORT1: reg8(0x01, { low: rw(3, 0), high: ro(7, 4) }, { reset: 0xf0 }),
  PORT2: reg16(0x02, { word: rw(15, 0) }),
  EVENTS: reg32(0x08, { events: w1c(7, 0) }, { reset: 0xff }),
});

const ioEventFds = BELLS.map(({ offset, size, value }) => ({
  offset,
  size,
  ...(value !== undefined && { datamatch: value }),
}));
const narrow = { width: 32, prefetchable: false } as const;
const regions = {
  bar0: mmio(registers, { ...narrow, ioEventFds }),
  bar1: memory({ size: 0x1000, access: 'readOnly', content: TABLE_CONTENT, ...narrow }),
  bar2: memory({ size: 0x2000, map: { areas: [{ offset: 0x1000, size: 0x1000 }] }, ...narrow }),
  bar4: io(ports),
  rom: rom(ROM_CONTENT),
  region9: deviceSpecific(
    vendorRegionType(IDENTITY.vendorId, 1),
    memory({ size: 0x1000, access: 'readOnly', content: LOG_CONTENT, map: true }),
  ),
  region10: deviceSpecific(vendorRegionType(IDENTITY.vendorId, 2), memory({ size: 0x100, access: 'writeOnly' })),
} as const;

/** What became of a transfer of the device's. */
interface Outcome {
  readonly errno: number;
  /** What was read. */
  readonly data: Uint8Array | undefined;
}

/** What the device did of its own accord. */
export interface Deeds {
  /** Transfers by their number; those that go on are not there yet. */
  readonly outcomes: Map<number, Outcome>;
  /** Transfers that were begun. */
  transfers: number;
}

const ERRNO_OF: Readonly<Record<string, number>> = { EFAULT: Errno.EFAULT, EINVAL: Errno.EINVAL, ECANCELED: 125 };

function behaviour(context: MdevContext<object, typeof regions>, deeds: Deeds) {
  const { bar0, dma, irqs } = context;
  const fail = (how: number): void => {
    if (how === Fail.correctable) context.error({ correctable: 'badTlp' });
    else if (how === Fail.nonFatal) context.error({ uncorrectable: 'completionTimeout' });
    else if (how === Fail.fatal) context.error({ uncorrectable: 'malformedTlp' });
    else if (how === Fail.freeze) context.freeze(new Error('frozen by its guest'));
  };
  let reads = 0;
  const raise = (kind: number, vector: number): void => {
    if (kind === 0) irqs.msix.trigger(vector % MSIX_VECTORS);
    else if (kind === 1) irqs.msi.trigger(vector % MSI_VECTORS);
    else if (kind === 2) irqs.error.trigger();
    else irqs.request.trigger();
  };
  const transfer = (write: boolean, byte: number): void => {
    const { DMA_ADDRESS, DMA_LENGTH } = bar0.registers;
    const bytes = new Uint8Array(Math.min(DMA_LENGTH.bytes, DMA_LIMIT)).fill(byte);
    const number = deeds.transfers++;
    const done = write ? dma.write(DMA_ADDRESS.address, bytes) : dma.read(DMA_ADDRESS.address, bytes);
    done.then(
      () => deeds.outcomes.set(number, { errno: 0, data: write ? undefined : bytes }),
      (error: unknown) => {
        const errno = error instanceof MdevError ? ERRNO_OF[error.code] : undefined;
        if (errno === undefined) throw error;
        deeds.outcomes.set(number, { errno, data: undefined });
      },
    );
  };
  return {
    hooks: {
      bar0: {
        HOOKED: {
          beforeRead: () => ({ number: ++reads }),
          afterWrite: ({ number }: { readonly number: number }) => {
            bar0.registers.CAUSE.events |= number & 0xffff;
          },
        },
        RAISE: {
          afterWrite: ({ kind, vector }: { readonly kind: number; readonly vector: number }) => {
            raise(kind, vector);
          },
        },
        LINE: {
          afterWrite: ({ level }: { readonly level: boolean }) => {
            if (level) irqs.intx.assert();
            else irqs.intx.deassert();
          },
        },
        FAIL: {
          afterWrite: ({ how }: { readonly how: number }) => {
            fail(how);
          },
        },
        DMA_GO: {
          afterWrite: ({ write, byte }: { readonly write: boolean; readonly byte: number }) => {
            transfer(write, byte);
          },
        },
      },
    },
    reset: () => {
      reads = 0;
    },
    quiesce: () => Promise.resolve(),
    resume: () => undefined,
    migration: {
      version: 1,
      estimate: () => 8,
      save: () => new Uint8Array(Float64Array.of(reads).buffer),
      restore: (payload: Uint8Array) => {
        reads = new DataView(payload.buffer, payload.byteOffset, payload.length).getFloat64(0, true);
      },
    },
  };
}

/** The device that `spec/layout.ts` describes, declared as a vendor would. */
export async function makeDevice(): Promise<{ readonly device: MdevDevice; readonly deeds: Deeds }> {
  const deeds: Deeds = { outcomes: new Map(), transfers: 0 };
  const type = defineMdevType({
    id: 'modelled',
    name: 'Modelled device',
    description: 'One of each kind of region, register and interrupt.',
    pci: {
      ...IDENTITY,
      interruptPin: 1,
      capabilities: [
        powerManagement({ offset: Config.powerManagement, noSoftReset: false }),
        msi({ offset: Config.msi, vectors: MSI_VECTORS }),
        msix({ offset: Config.msix, ...places }),
        pciExpress({ offset: Config.express, functionLevelReset: true }),
      ],
    },
    regions,
    create: (context) => behaviour(context, deeds),
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'modelled0', driverName: 'modelled', types: [type], maxInstances: 1 }));
  return {
    device: await registry.create({ parent: 'modelled0', type: 'modelled', platform: { reportErrors: true } }),
    deeds,
  };
}
