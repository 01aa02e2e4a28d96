import { expectTypeOf, test } from 'vitest';

import {
  array,
  capability,
  compile,
  configSpace,
  type FieldDeclarer,
  group,
  type Hooks,
  lockedBy,
  lockEffect,
  type Locks,
  memoryBar,
  msix,
  msixRegisters,
  offsetOf,
  pciExpress,
  powerManagement,
  reg16,
  reg32,
  reg64,
  type RegisterBlock,
  registerBlock,
  type RegisterPath,
  RegisterRegion,
  ro,
  rw,
  w1c,
  wo,
  wordEffect,
} from '../../src/emulation/index.ts';

const State = { idle: 0, running: 1 } as const;
const vectors = { vectors: 2, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } } as const;

const block = registerBlock(0x4000, {
  CONTROL: reg32(0x04, { enable: rw(0), burst: rw(7, 4), state: ro(9, 8, State) }, { reset: 0x10 }),
  CAUSE: reg32(0x0c, { done: w1c(0), error: w1c(1) }, { shared: true }),
  SOURCE: reg64(0x10, { address: rw(63, 0), tag: lockedBy(['one', 'two'], ro(31, 0)) }, { lockedBy: 'running' }),
  EDGE: reg64(0x18, { narrow: rw(31, 0), across: rw(40, 9), wide: rw(63, 31) }),
  DOORBELL: reg32(0x20, { length: wo(31, 0) }, { widths: [4], lockedBy: ['running', 'halted'] }),
  QUEUE: array(
    0x100,
    0x20,
    8,
    {
      SIZE: reg32(0x00, { size: rw(15, 0) }, { lockedBy: 'enabled' }),
      MODE: reg32(0x04, { dedicated: lockedBy('halted', rw(0)) }, { lockedBy: 'busy', shared: true }),
    },
    { locks: ['enabled', 'busy'] },
  ),
  PLAIN: array(0x300, 4, 2, { R: reg32(0, { on: rw(0) }) }),
  CAP: group(0x400, { DEVCTL: reg16(0, { go: wo(15) }), INNER: group(8, { DEEP: reg64(0, { deep: rw(63, 0) }) }) }),
  ...msixRegisters(vectors),
});
const region = new RegisterRegion(block);
const { registers: regs, locks } = region;

test('fields infer their value type', () => {
  expectTypeOf(regs.CONTROL.enable).toEqualTypeOf<boolean>();
  expectTypeOf(regs.CONTROL.burst).toEqualTypeOf<number>();
  expectTypeOf(regs.CONTROL.state).toEqualTypeOf<0 | 1 | (number & {})>();
  expectTypeOf(regs.SOURCE.address).toEqualTypeOf<bigint>();
  expectTypeOf(regs.SOURCE.tag).toEqualTypeOf<number>();
  expectTypeOf(regs.EDGE.narrow).toEqualTypeOf<number>();
  expectTypeOf(regs.EDGE.across).toEqualTypeOf<number>();
  expectTypeOf(regs.EDGE.wide).toEqualTypeOf<bigint>();
  expectTypeOf(regs.CONTROL.value).toEqualTypeOf<number>();
  expectTypeOf(regs.SOURCE.value).toEqualTypeOf<bigint>();
  expectTypeOf(regs.CAP.INNER.DEEP.deep).toEqualTypeOf<bigint>();
  expectTypeOf(regs.CAP.DEVCTL.go).toEqualTypeOf<boolean>();
  for (const queue of regs.QUEUE) {
    expectTypeOf(queue.SIZE.size).toEqualTypeOf<number>();
    expectTypeOf(queue.locks).toEqualTypeOf<Record<'enabled' | 'busy', boolean>>();
  }
  for (const entry of regs.MSIX_TABLE) expectTypeOf(entry.CONTROL.masked).toEqualTypeOf<boolean>();
});

test('fields of unknown place may be numbers or bigints', () => {
  const open = new RegisterRegion(registerBlock(8, { R: reg64(0, { f: rw(msbOf(), 0) }) }));
  expectTypeOf(open.registers.R.f).toEqualTypeOf<number | bigint>();
});

test('access types may be chosen by data', () => {
  const configurable: FieldDeclarer<'ro' | 'rw'> = msbOf() > 0 ? rw : ro;
  const chosen = new RegisterRegion(registerBlock(8, { R: reg32(0, { f: configurable(7, 0), g: configurable(8) }) }));
  expectTypeOf(chosen.registers.R.f).toEqualTypeOf<number>();
  expectTypeOf(chosen.registers.R.g).toEqualTypeOf<boolean>();
});
declare function msbOf(): number;
declare function use(value: unknown): void;

test('values have their field’s type', () => {
  // @ts-expect-error a flag is a boolean
  regs.CONTROL.enable = 1;
  // @ts-expect-error a field is a number
  regs.CONTROL.burst = true;
  // @ts-expect-error up to 32 bits are no bigint
  regs.CONTROL.burst = 1n;
  // @ts-expect-error more than 32 bits are no number
  regs.SOURCE.address = 1;
  // @ts-expect-error a 64-bit register is a bigint
  regs.SOURCE.value = 1;
  // @ts-expect-error a 32-bit register is a number
  regs.CONTROL.value = 1n;
  // @ts-expect-error a lock is held or not
  locks.running = 1;
});

test('misspelt names do not compile', () => {
  // @ts-expect-error no such register
  use(regs.CONTROLS);
  // @ts-expect-error no such field
  use(regs.CONTROL.bursts);
  // @ts-expect-error no such register in the elements
  use(regs.QUEUE[0]?.MODES);
  // @ts-expect-error no such register in the group
  use(regs.CAP.DEVCTRL);
  // @ts-expect-error no such lock
  use(locks.runing);
  // @ts-expect-error a lock of the elements is none of the block
  use(locks.enabled);
  // @ts-expect-error a lock of the block is none of the elements
  use(regs.QUEUE[0]?.locks.running);
  // @ts-expect-error elements without locks have none
  use(regs.PLAIN[0]?.locks);
  // @ts-expect-error registers are not replaced
  regs.CONTROL = regs.CAUSE;
});

test('locks are those that the declaration names', () => {
  expectTypeOf<Locks<typeof block>>().toEqualTypeOf<'running' | 'halted' | 'one' | 'two'>();
  expectTypeOf(locks).toEqualTypeOf<Record<'running' | 'halted' | 'one' | 'two', boolean>>();
  const none = registerBlock(4, { R: reg32(0, { on: rw(0) }) });
  use(none);
  expectTypeOf<Locks<typeof none>>().toEqualTypeOf<never>();
});

test('hooks mirror the block', () => {
  const hooks: Hooks<typeof block> = {
    CONTROL: {
      beforeRead: ({ index }) => ({ state: index }),
      beforeWrite(next, previous, { written }) {
        expectTypeOf(next.burst).toEqualTypeOf<number>();
        expectTypeOf(previous.value).toEqualTypeOf<number>();
        expectTypeOf(written).toEqualTypeOf<number>();
        return { burst: 3 };
      },
    },
    SOURCE: {
      afterWrite({ address }, _, { written }) {
        expectTypeOf(address).toEqualTypeOf<bigint>();
        expectTypeOf(written).toEqualTypeOf<bigint>();
      },
    },
    QUEUE: {
      MODE: {
        afterWrite: ({ dedicated }, _, { index }) => {
          use([dedicated, index]);
        },
      },
    },
    CAP: { INNER: { DEEP: { afterWrite: () => undefined } } },
  };
  compile(block, hooks);
  // @ts-expect-error no such register
  compile(block, { CONTROLS: {} });
  // @ts-expect-error no such hook
  compile(block, { CONTROL: { afterwrite: () => undefined } });
  // @ts-expect-error no such register in the elements
  compile(block, { QUEUE: { MODES: {} } });
  // @ts-expect-error hooks of an array belong to its registers
  compile(block, { QUEUE: { afterWrite: () => undefined } });
  compile(block, {
    CONTROL: {
      // @ts-expect-error no such field
      afterWrite: ({ bursts }) => {
        use(bursts);
      },
    },
  });
  compile(block, {
    CONTROL: {
      beforeWrite: (next) => {
        // @ts-expect-error a fieldset is not changed, its changes are returned
        next.burst = 1;
      },
    },
  });
  // @ts-expect-error a flag is a boolean
  compile(block, { CONTROL: { afterWrite: () => ({ enable: 1 }) } });
  // @ts-expect-error no such field
  compile(block, { CONTROL: { afterWrite: () => ({ enabled: true }) } });
  // @ts-expect-error hooks are synchronous
  compile(block, { CONTROL: { afterWrite: () => Promise.resolve() } });
  // @ts-expect-error hooks are synchronous
  compile(block, { CONTROL: { afterWrite: () => Promise.resolve({ burst: 1 }) } });
  // @ts-expect-error no such register
  new RegisterRegion(block, { hooks: { CONTROLS: {} } });
});

test('paths and effects are those of the block', () => {
  const index = 3 as number;
  offsetOf(block, 'CONTROL');
  offsetOf(region.table, `QUEUE[${index}].MODE`);
  offsetOf(block, 'CAP.INNER.DEEP');
  wordEffect(block, 'CAUSE', { done: true });
  wordEffect(region.table, `QUEUE[${index}].MODE`, { dedicated: true });
  lockEffect(block, 'running', true);
  lockEffect(region.table, ['QUEUE', index, 'enabled'], false);
  expectTypeOf<'QUEUE[0].SIZE'>().toExtend<RegisterPath<typeof block>>();
  // @ts-expect-error no such register
  offsetOf(block, 'CONTROLS');
  // @ts-expect-error no such register in the elements
  offsetOf(block, 'QUEUE[0].MODES');
  // @ts-expect-error an element is no register
  offsetOf(block, 'QUEUE[0]');
  // @ts-expect-error no such field
  wordEffect(block, 'CAUSE', { finished: true });
  // @ts-expect-error a flag is a boolean
  wordEffect(block, 'CAUSE', { done: 1 });
  // @ts-expect-error no such field in the elements
  wordEffect(block, 'QUEUE[0].MODE', { shared: true });
  // @ts-expect-error no such lock
  lockEffect(block, 'runing', true);
  // @ts-expect-error a lock of the elements
  lockEffect(block, 'enabled', true);
  // @ts-expect-error a lock of the block
  lockEffect(block, ['QUEUE', 0, 'running'], true);
  // @ts-expect-error an array without locks
  lockEffect(block, ['PLAIN', 0, 'enabled'], true);
});

test('declarations are checked as far as types can', () => {
  // @ts-expect-error no such reset
  reg32(0, {}, { survives: ['warm'] });
  // @ts-expect-error no such width
  reg32(0, {}, { widths: [3] });
  // @ts-expect-error no such commit
  reg32(0, {}, { commit: 'first' });
  // @ts-expect-error a register is no field
  reg32(0, { inner: reg32(0, {}) });
  // @ts-expect-error a field is no register
  registerBlock(4, { R: rw(0) });
  // @ts-expect-error arrays have no arrays inside
  array(0, 8, 2, { A: array(0, 4, 2, { R: reg32(0, {}) }) });
  expectTypeOf(block).toExtend<RegisterBlock>();
});

test('config space is a typed block too', () => {
  const config = configSpace({
    vendorId: 0x1234,
    deviceId: 1,
    classCode: 0,
    bars: { 0: memoryBar({ size: 0x1000 }) },
    capabilities: [
      pciExpress({ functionLevelReset: true }),
      msix(vectors),
      powerManagement(),
      capability({ name: 'ATS', id: 0xf, version: 1, size: 8, registers: { CONTROL: reg16(6, { enable: rw(15) }) } }),
      { name: 'VENDOR', id: 9, size: 8, registers: { DATA: reg32(4, { data: rw(31, 0) }) } },
    ],
  });
  const { registers } = new RegisterRegion(config.block);
  expectTypeOf(registers.COMMAND.busMaster).toEqualTypeOf<boolean>();
  expectTypeOf(registers.PCIE.DEVCTL.maxReadRequest).toEqualTypeOf<number>();
  expectTypeOf(registers.MSIX.CONTROL.enable).toEqualTypeOf<boolean>();
  expectTypeOf(registers.PM.PMCSR.powerState).toEqualTypeOf<number>();
  expectTypeOf(registers.ATS.HEADER.version).toEqualTypeOf<number>();
  expectTypeOf(registers.VENDOR.DATA.data).toEqualTypeOf<number>();
  expectTypeOf(registers.VENDOR.NEXT.offset).toEqualTypeOf<number>();
  expectTypeOf(registers.BAR0.value).toEqualTypeOf<number>();
  // @ts-expect-error no such capability
  use(registers.PRI);
  // @ts-expect-error an extended capability has no NEXT
  use(registers.ATS.NEXT);
  // @ts-expect-error what fields a BAR has is not known
  use(registers.BAR0.address);
  // @ts-expect-error no such field
  pciExpress({ functionLevelReset: true, deviceControl: { maxReadRequests: 2 } });
  // @ts-expect-error there is no BAR 6
  msix({ ...vectors, table: { bar: 6, offset: 0 } });
  // @ts-expect-error there is no BAR 6
  configSpace({ vendorId: 1, deviceId: 1, classCode: 0, bars: { 6: memoryBar({ size: 16 }) } });
});
