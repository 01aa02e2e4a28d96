import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const folder = resolve(root, 'docs/decisions');
const names = readdirSync(folder).filter((name) => name !== 'README.md');
const numbers = names.map((name) => Number(/^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1]));

it('decisions are numbered from 1, each number once', () => {
  expect(numbers.toSorted((a, b) => a - b)).toEqual(names.map((_name, n) => n + 1));
});

it.each(names.map((name, n) => [name, numbers[n]] as const))('the heading of %s says its number', (name, number) => {
  expect(readFileSync(resolve(folder, name), 'utf8')).toMatch(new RegExp(`^# ${number}\\. \\S`));
});
