import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type AttributeInput, choice, flag, integer, parseAttributes } from '../../../src/mdev/type/attributes.ts';

const schema = {
  queues: integer({ minimum: 1, maximum: 8, default: 4, description: 'Work queues' }),
  trace: flag({ default: false, description: 'Trace accesses' }),
  speed: choice({ values: ['slow', 'fast'], default: 'slow', description: 'Speed' }),
};

function parse(input: AttributeInput): object {
  return parseAttributes(schema, input, 'type acme');
}

function codeAndMessage(input: AttributeInput): string {
  try {
    parse(input);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return 'accepted';
}

test('fills in the defaults', () => {
  expect(parse({})).toEqual({ queues: 4, trace: false, speed: 'slow' });
});

test('takes text as a command line gives it, and values as they are', () => {
  const expected = { queues: 8, trace: true, speed: 'fast' };
  expect(parse({ queues: '8', trace: 'true', speed: 'fast' })).toEqual(expected);
  expect(parse({ queues: '0x8', trace: 'ON', speed: 'fast' })).toEqual(expected);
  expect(parse({ queues: 8, trace: true, speed: 'fast' })).toEqual(expected);
});

test('the result cannot be changed', () => {
  expect(Object.isFrozen(parse({}))).toBe(true);
});

describe('refuses with a message that names attribute, value and what was expected', () => {
  test.each<[AttributeInput, string]>([
    [{ queues: '0' }, 'EINVAL: type acme: queues is "0"; expected 1 to 8'],
    [{ queues: '9' }, 'EINVAL: type acme: queues is "9"; expected 1 to 8'],
    [{ queues: '4.5' }, 'EINVAL: type acme: queues is "4.5"; expected 1 to 8'],
    [{ queues: '' }, 'EINVAL: type acme: queues is ""; expected 1 to 8'],
    [{ queues: ' 4' }, 'EINVAL: type acme: queues is " 4"; expected 1 to 8'],
    [{ queues: '4e0' }, 'EINVAL: type acme: queues is "4e0"; expected 1 to 8'],
    [{ queues: true }, 'EINVAL: type acme: queues is "true"; expected 1 to 8'],
    [{ queues: Number.NaN }, 'EINVAL: type acme: queues is "NaN"; expected 1 to 8'],
    [{ trace: 'perhaps' }, 'EINVAL: type acme: trace is "perhaps"; expected true or false'],
    [{ trace: 'constructor' }, 'EINVAL: type acme: trace is "constructor"; expected true or false'],
    [{ speed: 'FAST' }, 'EINVAL: type acme: speed is "FAST"; expected slow, fast'],
    [{ queus: '4' }, 'EINVAL: type acme has no attribute "queus"; did you mean "queues"?'],
    [{ colour: '4' }, 'EINVAL: type acme has no attribute "colour"; known: queues, trace, speed'],
    [{ ['__proto__']: '4' }, 'EINVAL: type acme has no attribute "__proto__"; known: queues, trace, speed'],
  ])('%j', (input, message) => {
    expect(codeAndMessage(input)).toBe(message);
  });
});

test('accepts exactly the whole numbers of the range, decimal and hexadecimal', () => {
  fc.assert(
    fc.property(fc.integer({ min: -3, max: 20 }), fc.boolean(), (value, hexadecimal) => {
      const text = hexadecimal && value >= 0 ? `0x${value.toString(16)}` : String(value);
      const accepted = codeAndMessage({ queues: text }) === 'accepted';
      expect(accepted).toBe(value >= 1 && value <= 8);
      if (accepted) expect(parse({ queues: text })).toMatchObject({ queues: value });
    }),
  );
});

test('a declaration that makes no sense is refused', () => {
  const description = '';
  expect(() => integer({ minimum: 2, maximum: 1, default: 1, description })).toThrow(/not within 2 to 1/);
  expect(() => integer({ minimum: 0, maximum: 4, default: 5, description })).toThrow(/default 5/);
  expect(() => integer({ minimum: 0.5, maximum: 4, default: 1, description })).toThrow(/0\.5 is not a whole number/);
  expect(() => choice({ values: ['a'], default: 'b' as 'a', description })).toThrow(/"b" is none of a/);
});
