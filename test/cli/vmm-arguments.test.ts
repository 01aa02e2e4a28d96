import { execFileSync } from 'node:child_process';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { shellWords, vmmArguments } from '../../src/cli/vmm-arguments.ts';
import { propertySeed } from '../support/seed.ts';

/** What a POSIX shell makes of words. */
function throughShell(words: string): readonly string[] {
  const output = execFileSync('sh', ['-c', `for word in ${words}; do printf '%s\\0' "$word"; done`], {
    encoding: 'utf8',
  });
  return output.split('\0').slice(0, -1);
}

describe('the arguments for VMMs', () => {
  it('come through a shell unchanged, whatever the path', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-composite', maxLength: 60 }), (name) => {
        fc.pre(!name.includes('\0'));
        const { cloudHypervisor, qemu } = vmmArguments(`/run/${name}`);
        expect(throughShell(shellWords(qemu))).toEqual(qemu);
        expect(throughShell(shellWords(cloudHypervisor))).toEqual(cloudHypervisor);
        expect(JSON.parse(qemu[1])).toEqual({
          driver: 'vfio-user-pci',
          socket: { type: 'unix', path: `/run/${name}` },
        });
      }),
      { seed: propertySeed(), numRuns: 50 },
    );
  });
});
