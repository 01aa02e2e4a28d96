// Examples in docs compile against the sources, with what they leave out put in front of them.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { expect, it } from 'vitest';

import { errorsOf } from './support/compile.ts';

/** The TypeScript of a page of docs, example by example. */
function examplesOf(page: string): readonly string[] {
  const text = readFileSync(resolve(import.meta.dirname, '../../docs', page), 'utf8');
  return [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, example = '']) => example);
}

it('a device with regions of every kind', () => {
  const [example = ''] = examplesOf('regions.md');
  const given = `import { reg32, registerBlock, ro, rw } from 'mdev-user/emulation';
    const registers = registerBlock(0x1000, { CONTROL: reg32(0, { go: rw(0) }), STATUS: reg32(4, { busy: ro(0) }) });
    const ports = registerBlock(8, { DATA: reg32(0, { data: rw(7, 0) }) });
    const optionRom = new Uint8Array(3000);`;
  expect(errorsOf(`${given}\n${example}`)).toEqual([]);
  expect(errorsOf(`${given}\n${example.replace('STATUS.busy', 'STATUS.bussy')}`)).not.toEqual([]);
});

it('a VMM that gives PASIDs', () => {
  const [, example = ''] = examplesOf('sva.md');
  const given = `import { AddressSpace, type MdevDevice, type MemoryFile } from 'mdev-user';
    declare const dsa: MdevDevice;
    declare const ram: MemoryFile;`;
  expect(errorsOf(`${given}\n${example}`)).toEqual([]);
});
