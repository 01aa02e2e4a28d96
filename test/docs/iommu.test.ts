// The container's example is run as it is printed.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compileFunction } from 'node:vm';

import ts from 'typescript';
import { expect, test } from 'vitest';

import { Container } from '../../src/mdev/index.ts';
import { memoryFile } from '../../src/native/binding.ts';
import { plainCard } from '../mdev/support/plain-card.ts';

const page = readFileSync(join(resolve(import.meta.dirname, '../..'), 'docs/iommu.md'), 'utf8');
const example = /```ts\n(using container[^]*?)```/.exec(page)?.[1] ?? '';

test('the example of a container maps memory into both instances, and ends', async () => {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  const body = `return (async () => {\n${example}\nreturn container.info().devices.length;\n})();`;
  const { outputText } = ts.transpileModule(body, { compilerOptions });
  const [dsa, serial] = [await plainCard({}), await plainCard({})];
  const ram = memoryFile(0x1000);
  const given = { Container, dsa, serial, ram };
  const run = compileFunction(outputText, Object.keys(given)) as (...values: unknown[]) => Promise<unknown>;
  expect(await run(...Object.values(given))).toBe(2);
  expect([dsa.state, serial.state]).toEqual(['created', 'created']);
  ram.close();
});
