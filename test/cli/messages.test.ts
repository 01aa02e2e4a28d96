import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { oneLine } from '../../src/cli/messages.ts';
import { propertySeed } from '../support/seed.ts';

describe('oneLine', () => {
  it('leaves no control character and at most 501 characters of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
        const line = oneLine(text);
        expect(line.length).toBeLessThanOrEqual(501);
        for (const character of line) {
          const code = character.codePointAt(0) ?? 0;
          expect(code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029).toBe(false);
        }
      }),
      { seed: propertySeed() },
    );
  });

  it('keeps ordinary text', () => {
    expect(oneLine('wq0.2 went: 100 %')).toBe('wq0.2 went: 100 %');
    expect(oneLine('two\r\nlines\u001b[31m\n')).toBe('two lines [31m');
  });
});
