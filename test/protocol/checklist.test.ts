import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { checklist, defects, notYet } from './support/checklist.ts';

const here = import.meta.dirname;

/** Numbers at the front of a test's name, or of a case's: "X7: …", "S22, S23: …". */
function numbersIn(folder: string): Set<string> {
  const found = new Set<string>();
  for (const name of readdirSync(folder)) {
    if (!name.endsWith('.test.ts') || name === 'checklist.test.ts') continue;
    const text = readFileSync(join(folder, name), 'utf8');
    for (const [, numbers = ''] of text.matchAll(/['`]((?:[A-Z]\d+, )*[A-Z]\d+): /gu)) {
      for (const number of numbers.split(', ')) found.add(number);
    }
  }
  return found;
}

describe('the checklist of the protocol', () => {
  const expected = Object.entries(checklist).flatMap(([group, numbers]) =>
    numbers.map((number) => `${group}${number}`),
  );
  const tested = numbersIn(here);

  it('has a test for each line, but for those that wait for something', () => {
    expect(expected.filter((number) => !tested.has(number) && !(number in notYet))).toEqual([]);
  });

  it('has no test for a line that it does not have', () => {
    expect([...tested].filter((number) => !expected.includes(number) && !/^D\d/u.test(number))).toEqual([]);
  });

  it('has a file for each defect', () => {
    const files = readdirSync(join(here, 'defects'));
    const missing = defects.filter((number) => !files.includes(`d${String(number).padStart(2, '0')}.test.ts`));
    expect(missing.map((number) => `D${number}`).filter((number) => !(number in notYet))).toEqual([]);
  });

  it('waits for nothing that is there', () => {
    const all = new Set([...tested, ...numbersIn(join(here, 'defects'))]);
    expect(Object.keys(notYet).filter((number) => all.has(number))).toEqual([]);
  });
});
