import { describe, expect, it } from 'vitest';

import { parseFd } from '../../src/cli/fd-option.ts';
import { collectSet } from '../../src/cli/set-option.ts';

describe('--set', () => {
  it('collects values by name, with all that follows the first "="', () => {
    expect(collectSet('b==x=', collectSet('a=1', {}))).toEqual({ a: '1', b: '=x=' });
    expect(collectSet('a=', {})).toEqual({ a: '' });
  });

  it('takes names that objects have for names like any other', () => {
    expect(Object.entries(collectSet('constructor=1', {}))).toEqual([['constructor', '1']]);
  });

  it.each(['', '=', '=1', 'a'])('refuses "%s"', (text) => {
    expect(() => collectSet(text, {})).toThrow('Expected NAME=VALUE');
  });
});

describe('--fd', () => {
  it.each([
    ['0', 0],
    ['3', 3],
    ['2147483647', 2147483647],
  ])('takes %s', (text, fd) => {
    expect(parseFd(text)).toBe(fd);
  });

  it.each(['', '-1', '1', '2', '3.5', '0x3', ' 3', '1e3', '2147483648', 'NaN', '99999999999'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseFd(text)).toThrow(/expected|Expected/);
    },
  );
});
