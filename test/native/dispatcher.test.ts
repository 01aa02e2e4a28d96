import fc from 'fast-check';
import { expect, it } from 'vitest';

import {
  compile,
  type Hooks,
  type RegisterBlock,
  type RegisterHooks,
  RegisterRegion,
  type Registers,
} from '../../src/emulation/index.ts';
import { createDeviceCore, createRegisterTable } from '../../src/native/binding.ts';
import { arbitraryAccesses, arbitraryBlock, performStep, type Step } from '../support/registers.ts';

/** VFIO's config space region: no memory decode in the way. */
const REGION = 7;
const READ_WRITE = 3;

/** What the hooks of one side saw. */
type Log = string[];

/**
 * Hooks on some registers of a block. They write down what they see, and change fields in ways that depend on nothing
 * but their arguments, so that two sides that see the same do the same.
 */
function hooksFor(block: RegisterBlock, choices: readonly number[], log: Log): Hooks<RegisterBlock> {
  let next = 0;
  const show = (value: unknown): string => (value as number | bigint).toString(16);
  const hooksOf = (path: string): RegisterHooks | undefined => {
    const choice = choices[next++ % choices.length] ?? 0;
    const hooks: Record<string, unknown> = {};
    if ((choice & 1) !== 0) {
      hooks['beforeRead'] = ({ index }: { index: number }) => {
        log.push(`${path}[${index}] read`);
        return (choice & 8) !== 0 ? { f0: fieldOf(block, path, choice) } : undefined;
      };
    }
    if ((choice & 2) !== 0) {
      hooks['beforeWrite'] = (
        value: Record<string, unknown>,
        previous: Record<string, unknown>,
        access: { index: number; written: number | bigint },
      ) => {
        log.push(
          `${path}[${access.index}] write ${show(previous['value'])} -> ${show(value['value'])} of ${show(access.written)}`,
        );
        return (choice & 8) !== 0 ? { f0: previous['f0'] } : undefined;
      };
    }
    if ((choice & 4) !== 0) {
      hooks['afterWrite'] = (value: Record<string, unknown>, previous: Record<string, unknown>) => {
        log.push(`${path} wrote ${show(previous['value'])} -> ${show(value['value'])}`);
        return (choice & 8) !== 0 ? { f0: fieldOf(block, path, choice) } : undefined;
      };
    }
    return Object.keys(hooks).length === 0 ? undefined : hooks;
  };
  const within = (registers: Registers, prefix: string): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(registers).flatMap(([name, item]): [string, unknown][] => {
        if (item.kind !== 'register') {
          return [[name, within(item.kind === 'group' ? item.registers : item.element, `${prefix}${name}.`)]];
        }
        const hooks = hooksOf(prefix + name);
        return hooks === undefined || !('f0' in item.fields) ? [] : [[name, hooks]];
      }),
    );
  return within(block.registers, '') as Hooks<RegisterBlock>;
}

/** A value that fits field f0 of a register. */
function fieldOf(block: RegisterBlock, path: string, choice: number): boolean | number | bigint {
  let found: unknown = block.registers;
  for (const part of path.split('.')) {
    const item = (found as Record<string, unknown>)[part] as { kind: string; registers?: unknown; element?: unknown };
    found = item.kind === 'group' ? item.registers : item.kind === 'array' ? item.element : item;
  }
  const { msb, lsb } = (found as { fields: Record<string, { msb: number; lsb: number }> }).fields['f0'] ?? {
    msb: 0,
    lsb: 0,
  };
  if (msb === lsb) return (choice & 16) !== 0;
  return msb - lsb >= 32 ? BigInt(choice) : choice & 1;
}

/** A device whose region C++ serves, with the interpreter behind its traps. */
function nativeDevice(block: RegisterBlock, hooks: Hooks<RegisterBlock>) {
  const table = compile(block, hooks);
  const core = createDeviceCore();
  const memory = core.setRegisterRegion(REGION, block.size, READ_WRITE, createRegisterTable(table.bytes));
  const region = new RegisterRegion(table, { hooks, memory });
  const failures: unknown[] = [];
  core.setTrapHandler({
    access(_index, offset, data, write) {
      if (write) region.write(offset, data);
      else region.read(offset, data);
      return 0;
    },
    reset: () => 0,
    onFailure: (error) => failures.push(error),
  });
  return { core, region, failures };
}

interface Scenario {
  readonly block: RegisterBlock;
  readonly steps: readonly Step[];
  readonly choices: readonly number[];
}

function scenarios(choice: fc.Arbitrary<number>): fc.Arbitrary<Scenario> {
  return arbitraryBlock().chain((block) => {
    // Several lists one after the other: a single one is too short to meet a lock that an earlier step took.
    const some = arbitraryAccesses(block, { device: true });
    return fc.record({
      block: fc.constant(block),
      steps: fc.tuple(some, some, some, some).map((lists) => lists.flat()),
      choices: fc.array(choice, { minLength: 1, maxLength: 8 }),
    });
  });
}

/** Runs the steps on both sides and compares everything that can be seen. Returns what happened on the native one. */
function compare({ block, steps, choices }: Scenario): { traps: number; dropped: number; frozen: number } {
  const nativeLog: Log = [];
  const native = nativeDevice(block, hooksFor(block, choices, nativeLog));
  const log: Log = [];
  const reference = new RegisterRegion(block, { hooks: hooksFor(block, choices, log) });
  const guest = {
    read: (offset: number, into: Uint8Array) => {
      expect(native.core.read(REGION, offset, into)).toBe(0);
    },
    write: (offset: number, from: Uint8Array) => {
      expect(native.core.write(REGION, offset, from)).toBe(0);
    },
  };
  for (const step of steps) {
    expect(performStep(native.region, step, guest)).toEqual(performStep(reference, step));
  }
  expect(native.failures).toEqual([]);
  expect(nativeLog).toEqual(log);
  expect(new Uint8Array(native.region.memory)).toEqual(new Uint8Array(reference.memory));
  const { traps, droppedWrites, frozenWrites } = native.core.statistics();
  const dropped = droppedWrites + native.region.counters.dropped;
  const frozen = frozenWrites + native.region.counters.frozen;
  expect({ dropped, frozen }).toEqual({ dropped: reference.counters.dropped, frozen: reference.counters.frozen });
  native.core.close();
  return { traps, dropped, frozen };
}

it('the native dispatcher equals the interpreter', () => {
  const seen = { traps: 0, dropped: 0, frozen: 0 };
  fc.assert(
    fc.property(scenarios(fc.constant(0)), (scenario) => {
      const { traps, dropped, frozen } = compare(scenario);
      seen.traps += traps;
      seen.dropped += dropped;
      seen.frozen += frozen;
    }),
    { numRuns: 250 },
  );
  expect(seen.traps).toBe(0);
  expect(seen.dropped).toBeGreaterThan(100);
  expect(seen.frozen).toBeGreaterThan(20);
});

it('with hooks, what traps and what does not add up to the same', () => {
  let traps = 0;
  fc.assert(
    fc.property(scenarios(fc.integer({ min: 0, max: 31 })), (scenario) => {
      traps += compare(scenario).traps;
    }),
    { numRuns: 250 },
  );
  expect(traps).toBeGreaterThan(1000);
});
