import { expectTypeOf, test } from 'vitest';

import { array, msi, pciExpress, reg32, reg64, registerBlock, ro, rw } from '../../src/emulation/index.ts';
import {
  choice,
  defineMdevType,
  deviceSpecific,
  flag,
  integer,
  io,
  type MdevType,
  memory,
  mmio,
  portal,
  rom,
  type ResourcePool,
} from '../../src/mdev/index.ts';

const block = registerBlock(0x1000, {
  CONTROL: reg32(0x00, { enable: rw(0), burst: rw(7, 4) }),
  SOURCE: reg64(0x08, { address: rw(63, 0) }, { lockedBy: 'running' }),
  LANE: array(0x100, 16, 4, { STATUS: reg32(0x00, { busy: ro(0) }) }),
});
const pci = { vendorId: 1, deviceId: 2, classCode: 3, capabilities: [] };
interface Lanes extends Disposable {
  readonly first: number;
}
declare const lanes: ResourcePool<{ readonly count: number }, Lanes>;

test('attributes reach create, pci and regions with their own types', () => {
  const type = defineMdevType({
    id: 'x',
    attributes: {
      queues: integer({ minimum: 1, maximum: 8, default: 1, description: '' }),
      trace: flag({ default: false, description: '' }),
      speed: choice({ values: ['slow', 'fast'], default: 'slow', description: '' }),
    },
    checkAttributes: (attributes) => {
      expectTypeOf(attributes.trace).toEqualTypeOf<boolean>();
      return attributes.queues > 1 ? `queues is ${attributes.queues}; expected 1` : undefined;
    },
    pci: (attributes) => {
      expectTypeOf(attributes.queues).toEqualTypeOf<number>();
      return pci;
    },
    regions: (attributes) => {
      expectTypeOf(attributes.trace).toEqualTypeOf<boolean>();
      return { bar0: mmio(block), bar2: portal({ size: 4096 }) };
    },
    create({ attributes, bar0 }) {
      expectTypeOf(attributes.speed).toEqualTypeOf<'slow' | 'fast'>();
      expectTypeOf(bar0.registers.CONTROL.burst).toEqualTypeOf<number>();
      expectTypeOf(attributes).not.toHaveProperty('colour');
      return {};
    },
  });
  expectTypeOf(type).toEqualTypeOf<MdevType>();
});

test('regions reach create and the hooks, by BAR', () => {
  defineMdevType({
    id: 'x',
    pci,
    regions: { bar0: mmio(block), bar2: portal({ size: 4096 }) },
    create(context) {
      const { registers, locks } = context.bar0;
      expectTypeOf(registers.SOURCE.address).toEqualTypeOf<bigint>();
      expectTypeOf(locks.running).toEqualTypeOf<boolean>();
      expectTypeOf(registers.LANE).items.toHaveProperty('STATUS');
      // Engines serve portals; there is nothing for the behaviour.
      expectTypeOf(context).not.toHaveProperty('bar2');
      return {
        hooks: {
          bar0: {
            CONTROL: {
              afterWrite: ({ enable }, previous, { written }) => {
                expectTypeOf(enable).toEqualTypeOf<boolean>();
                expectTypeOf(previous.burst).toEqualTypeOf<number>();
                expectTypeOf(written).toEqualTypeOf<number>();
              },
            },
          },
        },
      };
    },
  });
});

test('hooks on what does not exist do not compile', () => {
  const declaration = { id: 'x', pci, regions: { bar0: mmio(block), bar2: portal({ size: 4096 }) } } as const;
  // @ts-expect-error -- no register CONTROLS
  defineMdevType({ ...declaration, create: () => ({ hooks: { bar0: { CONTROLS: {} } } }) });
  // @ts-expect-error -- no bar1
  defineMdevType({ ...declaration, create: () => ({ hooks: { bar1: {} } }) });
  defineMdevType({
    ...declaration,
    // @ts-expect-error -- a hook is synchronous
    create: () => ({ hooks: { bar0: { CONTROL: { afterWrite: () => Promise.resolve() } } } }),
  });
});

test('what the pool gives reaches create, and the pool fits the attributes', () => {
  defineMdevType({
    id: 'x',
    attributes: { count: integer({ minimum: 1, maximum: 4, default: 1, description: '' }) },
    pci,
    regions: { bar0: mmio(block) },
    resources: lanes,
    create({ resources }) {
      expectTypeOf(resources).toEqualTypeOf<Lanes>();
      return {};
    },
  });
  defineMdevType({
    id: 'x',
    attributes: { lanes: integer({ minimum: 1, maximum: 4, default: 1, description: '' }) },
    pci,
    regions: { bar0: mmio(block) },
    // @ts-expect-error -- the pool wants `count`
    resources: lanes,
    create: () => ({}),
  });
});

test('memory of regions reaches create, by name', () => {
  defineMdevType({
    id: 'x',
    pci,
    regions: {
      bar0: mmio(block),
      bar2: memory({ size: 4096, map: true }),
      bar4: io(block),
      rom: rom(new Uint8Array(1)),
      region9: deviceSpecific({ type: 1, subtype: 1 }, memory({ size: 4096 })),
    },
    create(context) {
      expectTypeOf(context.memory.bar2).toEqualTypeOf<Uint8Array>();
      expectTypeOf(context.memory.region9).toEqualTypeOf<Uint8Array>();
      expectTypeOf(context.memory.bar0).toEqualTypeOf<Uint8Array | undefined>();
      expectTypeOf(context.memory).not.toHaveProperty('rom');
      expectTypeOf(context.bar4.registers.CONTROL.burst).toEqualTypeOf<number>();
      expectTypeOf(context).not.toHaveProperty('bar2');
      return { hooks: { bar4: {} } };
    },
  });
  // @ts-expect-error -- a portal is no device-specific region
  deviceSpecific({ type: 1, subtype: 1 }, portal({ size: 4096 }));
});

test('the native half is opaque', () => {
  defineMdevType({
    id: 'x',
    pci,
    regions: {},
    create({ device }) {
      expectTypeOf(device).not.toHaveProperty('read');
      return {};
    },
  });
});

test('config space has the capabilities that were declared', () => {
  const declaration = {
    id: 'x',
    regions: { bar0: mmio(block) },
    pci: { ...pci, capabilities: [pciExpress({ functionLevelReset: true }), msi({ vectors: 4 })] as const },
  };
  defineMdevType({
    ...declaration,
    create({ config }) {
      expectTypeOf(config.registers.MSI.MASK.vectors).toEqualTypeOf<number>();
      expectTypeOf(config.registers.COMMAND.busMaster).toEqualTypeOf<boolean>();
      expectTypeOf(config.registers).not.toHaveProperty('ATS');
      // @ts-expect-error -- there is no such error
      config.recordError({ uncorrectable: 'sunspot' });
      return { hooks: { config: { PCIE: { DEVCTL2: { afterWrite: () => undefined } } } } };
    },
  });
  // @ts-expect-error -- a hook on what is not declared
  defineMdevType({ ...declaration, create: () => ({ hooks: { config: { AER: {} } } }) });
});
