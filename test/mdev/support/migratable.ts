import {
  array,
  msix,
  msixRegisters,
  reg32,
  reg64,
  registerBlock,
  ro,
  rw,
  w1c,
  wo,
} from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  integer,
  type MdevContext,
  type MdevDevice,
  MdevRegistry,
  memory,
  MigrationState,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
  type VfioDevice,
} from '../../../src/mdev/index.ts';

export const VECTORS = 40;
const places = { vectors: VECTORS, table: { bar: 0, offset: 0x400 }, pba: { bar: 0, offset: 0x800 } } as const;

/** BAR0 of a counter that can be migrated. */
const counterRegisters = registerBlock(0x1000, {
  ID: reg32(0x00, { id: ro(31, 0) }, { constant: true, reset: 0x1234 }),
  CAUSE: reg32(0x04, { done: w1c(0), error: w1c(1) }, { shared: true }),
  LIMIT: reg64(0x08, { limit: rw(63, 0) }, { lockedBy: 'counting', commit: 'last' }),
  /** A write asserts INTx (1) or raises vector n - 2 (2 and up). */
  RAISE: reg32(0x10, { what: wo(31, 0) }),
  /** A write counts, which no register shows. */
  COUNT: reg32(0x14, { by: wo(31, 0) }),
  SLOT: array(0x100, 16, 8, { VALUE: reg32(0, { value32: rw(31, 0) }), LOCKED: reg32(4, { value32: rw(31, 0) }) }),
  ...msixRegisters(places),
});

/** Offsets in BAR0 and config space. */
export const At = { cause: 4, limit: 8, raise: 0x10, count: 0x14, slot: 0x100, command: 4, msixControl: 0x42 } as const;
/** A counter that has counted more is counting, to its migration: LIMIT is locked. */
const LOCKS_FROM = 70;
const MEMORY = 0x2000;
const regions = {
  // As in the streams of releases.
  bar0: mmio(counterRegisters, { prefetchable: true }),
  bar2: memory({ size: MEMORY, content: Uint8Array.of(1, 2, 3), map: true }),
} as const;

/** How the vendor's part of an instance behaves. */
export interface CounterOptions {
  readonly version?: number;
  readonly compatibility?: string;
  readonly identity?: number;
  readonly vectors?: number;
  readonly id?: string;
  readonly early?: Uint8Array;
  readonly attributes?: Readonly<Record<string, number>>;
  readonly platform?: Partial<PlatformCapabilities>;
  /** `restore` throws. */
  readonly refuses?: boolean;
  /** `resume` throws. */
  readonly cannotResume?: boolean;
}

/** A counter, and what it hides from its guest. */
export interface Counter {
  readonly device: MdevDevice;
  /** Where it was made. */
  readonly registry: MdevRegistry;
  readonly context: MdevContext<{ readonly lanes: number }, typeof regions>;
  /** The hidden part of its state. */
  count: number;
  running: boolean;
  /** What is waited for when it is quiesced. */
  quiescing: Promise<void>;
  /** What is waited for when it is saved. */
  saving: Promise<void> | undefined;
  /** What `stop` and `close` do. */
  onEnd: () => void;
  /** What `save` does before it gives the payload. */
  onSave: () => void;
  /** What `restore` got early. */
  early: Uint8Array | undefined;
}

/** Makes one counter in a registry of its own. */
export async function counter(options: CounterOptions = {}): Promise<Counter> {
  const contexts: Counter['context'][] = [];
  const hidden = {
    count: 0,
    running: true,
    quiescing: Promise.resolve(),
    saving: undefined as Promise<void> | undefined,
    onEnd: (): void => undefined,
    onSave: (): void => undefined,
    early: undefined as Uint8Array | undefined,
  };
  const { compatibility } = options;
  const type = defineMdevType({
    id: options.id ?? 'counter',
    attributes: { lanes: integer({ minimum: 1, maximum: 4, default: 2, description: 'Lanes' }) },
    pci: {
      vendorId: 0x1d0f,
      deviceId: 0xc0de,
      classCode: 0x088000,
      interruptPin: 1,
      capabilities: [msix({ offset: 0x40, ...places })],
    },
    regions,
    create: (context) => {
      contexts.push(context);
      if (options.identity !== undefined) context.bar0.registers.ID.id = options.identity;
      return {
        hooks: {
          bar0: {
            RAISE: {
              afterWrite: ({ what }) => {
                if (what === 1) context.irqs.intx.assert();
                else context.irqs.msix.trigger(what - 2);
              },
            },
            COUNT: {
              afterWrite: ({ by }) => {
                hidden.count += by;
              },
            },
          },
        },
        quiesce: async () => {
          await hidden.quiescing;
          hidden.running = false;
        },
        resume: () => {
          if (options.cannotResume === true) throw new Error('it cannot go on');
          hidden.running = true;
        },
        reset: () => {
          hidden.count = 0;
        },
        stop: () => {
          hidden.onEnd();
        },
        close: () => {
          hidden.onEnd();
        },
        migration: {
          version: options.version ?? 3,
          maximumSize: 64,
          ...(compatibility === undefined ? {} : { compatibility: () => Buffer.from(compatibility) }),
          ...(options.early === undefined ? {} : { preCopy: () => options.early ?? new Uint8Array(0) }),
          estimate: () => 8,
          save: () => {
            hidden.onSave();
            const payload = new Uint8Array(8);
            new DataView(payload.buffer).setFloat64(0, hidden.count, true);
            const { saving } = hidden;
            return saving === undefined ? payload : saving.then(() => payload);
          },
          restore: (payload, early) => {
            if (options.refuses === true) throw new Error('refused by the vendor');
            if (payload.length !== 8) throw new RangeError(`${payload.length} bytes, expected 8`);
            const count = new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true);
            if (!Number.isSafeInteger(count)) throw new RangeError('no count');
            hidden.count = count;
            hidden.early = early;
          },
          takeLocks: () => {
            context.bar0.locks.counting = hidden.count > LOCKS_FROM;
          },
        },
      };
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({
    parent: 'acme0',
    type: type.id,
    attributes: options.attributes ?? {},
    ...(options.platform === undefined ? {} : { platform: options.platform }),
  });
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  return Object.assign(hidden, { device, context, registry });
}

/** Stops a device and reads its stream to the end, in pieces. */
export async function saved(vmm: VfioDevice, piece = 1000): Promise<Uint8Array> {
  await vmm.setMigrationState(MigrationState.stopCopy);
  return readAll(vmm, piece);
}

/** Reads what there is of a stream. */
export async function readAll(vmm: VfioDevice, piece = 1000): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const data = await vmm.readMigrationData(piece);
    if (data.length === 0) return Buffer.concat(pieces);
    pieces.push(data);
  }
}

/** Gives a device a stream in pieces, and lets it run. */
export async function restored(vmm: VfioDevice, stream: Uint8Array, piece = 1000): Promise<void> {
  await vmm.setMigrationState(MigrationState.resuming);
  for (let at = 0; at < stream.length; at += piece) await vmm.writeMigrationData(stream.subarray(at, at + piece));
  await vmm.setMigrationState(MigrationState.running);
}

/** Everything that a guest can see of a counter. */
export async function seen(vmm: VfioDevice): Promise<readonly Uint8Array[]> {
  return [await vmm.readRegion(7, 0, 256), await vmm.readRegion(0, 0, 0x1000), await vmm.readRegion(2, 0, MEMORY)];
}
