/**
 * Random sequences of messages, legal and illegal, against the served device and against a model of it that was read from the
 * specification: see README.md beside. Run by run.mjs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { explore, report } from './run/explore.ts';
import { Vmm } from './run/vmm.ts';

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SEED = number('MODEL_SEED', 20_261_121);
const SEQUENCES = number('MODEL_SEQUENCES', 10_000);
const ONLY = number('MODEL_ONLY', -1);
/** So many differences are enough. */
const MOST_DIFFERENCES = 5;

it(`does what the specification says in ${ONLY < 0 ? SEQUENCES : 'one of the'} sequences of seed ${SEED}`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mdev-model-'));
  const vmm = await Vmm.of(join(directory, 'socket'));
  const reports: string[] = [];
  const sequences = ONLY < 0 ? Array.from({ length: SEQUENCES }, (_, sequence) => sequence) : [ONLY];
  for (const sequence of sequences) {
    const difference = await explore(vmm, SEED, sequence);
    if (difference !== undefined) reports.push(report(difference));
    if (reports.length === MOST_DIFFERENCES) break;
  }
  await vmm.close();
  rmSync(directory, { recursive: true });
  if (reports.length > 0) process.stderr.write(`${reports.join('\n\n')}\n`);
  expect(reports).toHaveLength(0);
});
