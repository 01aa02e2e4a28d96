import fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  describe as describeBlock,
  type Hooks,
  type RegisterBlock,
  RegisterRegion,
} from '../../src/emulation/index.ts';
import { arbitraryAccesses, arbitraryBlock, performStep, type Step, viewAt } from '../support/registers.ts';
import { RegisterModel } from './support/model.ts';

/** Does a step with the model; what a read returned. */
function modelStep(model: RegisterModel, step: Step): Uint8Array | undefined {
  switch (step.op) {
    case 'read':
      return model.read(step.offset, step.length);
    case 'write':
      model.write(step.offset, step.data);
      return undefined;
    case 'hold': {
      const name = step.array === undefined ? step.lock : `${step.array}[${step.index}].${step.lock}`;
      if (step.held) model.held.add(name);
      else model.held.delete(name);
      return undefined;
    }
    case 'set':
      model.at(step.path).value = step.value;
      return undefined;
    case 'reset':
      model.reset(step.kind);
      return undefined;
    case 'dropStaged':
      model.dropStaged();
      return undefined;
  }
}

// Comparing text is much cheaper than comparing typed arrays, and shows as well what differs.
function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : bytes.join(' ');
}

const blockAndSteps = (device: boolean): fc.Arbitrary<readonly [RegisterBlock, readonly Step[]]> =>
  arbitraryBlock().chain((block) => fc.tuple(fc.constant(block), arbitraryAccesses(block, { device })));

function expectEqualState(region: RegisterRegion, model: RegisterModel): void {
  const values = describeBlock(region.block, region).map(({ path, current }) => `${path} = ${current}`);
  expect(values).toEqual(model.registers.map(({ path, value }) => `${path} = ${value}`));
  expect(region.counters.dropped).toBe(model.dropped);
  expect(region.counters.frozen).toBe(model.frozen);
}

test('a region does what the model does', () => {
  fc.assert(
    fc.property(blockAndSteps(true), ([block, steps]) => {
      const region = new RegisterRegion(block);
      const model = new RegisterModel(block);
      for (const step of steps) expect(textOf(performStep(region, step))).toBe(textOf(modelStep(model, step)));
      expectEqualState(region, model);
    }),
    { numRuns: 1000 },
  );
});

test('hooks on every register change nothing, and see what the model sees', () => {
  fc.assert(
    fc.property(blockAndSteps(true), ([block, steps]) => {
      const events: unknown[] = [];
      const region: RegisterRegion = new RegisterRegion(block, { hooks: recordingHooks(block, events) });
      const model = new RegisterModel(block);
      for (const step of steps) expect(textOf(performStep(region, step))).toBe(textOf(modelStep(model, step)));
      expectEqualState(region, model);
      expect(events).toEqual(
        model.writes.flatMap(({ path, index, previous, next, written }) =>
          ['beforeWrite', 'afterWrite'].map((hook) => {
            const hookPath = path.replace(/\[\d+\]/, '');
            return { hook, hookPath, index, previous, next, written, fields: fieldsOf(model, path, next) };
          }),
        ),
      );
    }),
    { numRuns: 300 },
  );
});

function fieldsOf(model: RegisterModel, path: string, value: bigint): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(model.at(path).register.fields).map(([name, { msb, lsb }]) => [
      name,
      (value >> BigInt(lsb)) & ((1n << BigInt(msb - lsb + 1)) - 1n),
    ]),
  );
}

interface AnyFieldset {
  readonly value: number | bigint;
}

function recordingHooks(block: RegisterBlock, events: unknown[]): Hooks<RegisterBlock> {
  const record =
    (hook: string, hookPath: string) =>
    (next: AnyFieldset, previous: AnyFieldset, access: { index: number; written: number | bigint }): void => {
      const fields = Object.fromEntries(
        Object.entries(next as unknown as Record<string, boolean | number | bigint>).map(([name, v]) => [
          name,
          BigInt(v),
        ]),
      );
      events.push({
        hook,
        hookPath,
        index: access.index,
        previous: BigInt(previous.value),
        next: BigInt(next.value),
        written: BigInt(access.written),
        fields,
      });
    };
  const hooksOf = (path: string): object => ({
    beforeRead: () => undefined,
    beforeWrite: record('beforeWrite', path),
    afterWrite: record('afterWrite', path),
  });
  const hooks: Record<string, object> = {};
  for (const [name, item] of Object.entries(block.registers)) {
    const inner = item.kind === 'array' ? item.element : item.kind === 'group' ? item.registers : undefined;
    hooks[name] =
      inner === undefined
        ? hooksOf(name)
        : Object.fromEntries(Object.keys(inner).map((part) => [part, hooksOf(`${name}.${part}`)]));
  }
  return hooks as unknown as Hooks<RegisterBlock>;
}

test('the device side sets and gets every field without touching its neighbours', () => {
  fc.assert(
    fc.property(
      // A block may have registers without fields only.
      arbitraryBlock()
        .filter((block) => describeBlock(block).some(({ fields }) => fields.length > 0))
        .chain((block) =>
          fc.tuple(
            fc.constant(block),
            fc.constantFrom(
              ...describeBlock(block).flatMap(({ path, fields }) => fields.map((field) => ({ path, field }))),
            ),
            fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          ),
        ),
      ([block, { path, field }, raw]) => {
        const region = new RegisterRegion(block);
        const bits = raw & ((1n << BigInt(field.msb - field.lsb + 1)) - 1n);
        const value =
          typeof field.reset === 'boolean' ? bits === 1n : typeof field.reset === 'number' ? Number(bits) : bits;
        const before = describeBlock(block, region);
        viewAt(region, path)[field.name] = value;
        expect(viewAt(region, path)[field.name]).toBe(value);
        for (const { path: other, fields } of describeBlock(block, region))
          for (const { name, current } of fields)
            if (other !== path || name !== field.name)
              expect(current).toBe(
                before.find((row) => row.path === other)?.fields.find((row) => row.name === name)?.current,
              );
      },
    ),
    { numRuns: 500 },
  );
});
