import { resolve } from 'node:path';

import { ESLint } from 'eslint';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const eslint = new ESLint({ cwd: root });

/** The rules that a text would break as a file of the repository. */
async function brokenRules(path: string, text: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(text, { filePath: resolve(root, path) });
  return [...new Set(result?.messages.map(({ ruleId }) => ruleId))];
}

it.each([
  ['export const now = (): number => Date.now();\n', 'no-restricted-globals'],
  ['export const now = (): number => performance.now();\n', 'no-restricted-globals'],
  ["export const home = (): string | undefined => process.env['HOME'];\n", 'no-restricted-globals'],
  ['export const any = (): number => Math.random();\n', 'no-restricted-properties'],
])('src/emulation may not say %s', async (text, rule) => {
  expect(await brokenRules('src/emulation/index.ts', text)).toEqual([rule]);
});

it('other layers may read a clock', async () => {
  expect(await brokenRules('test/setup.ts', 'export const now = (): number => Date.now();\n')).toEqual([]);
});
