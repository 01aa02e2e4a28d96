import { expect } from 'vitest';

import type { GuestResult } from './guest.ts';

/** What one thread of the kernel's dmatest has summed up. */
export interface DmatestSummary {
  readonly tests: number;
  readonly failures: number;
}

/** Reads a summary line such as `dmatest: dma0chan0-copy0: summary 100 tests, 0 failures 1500.00 iops 12000 KB/s (0)`. */
export function parseSummary(line: string): DmatestSummary {
  const match = /dmatest: .*summary (\d+) tests, (\d+) failures .*\((-?\d+)\)/.exec(line);
  if (match === null) throw new Error(`not a summary of dmatest: ${line}`);
  return { tests: Number(match[1]), failures: Number(match[2]) };
}

/**
 * Checks every dmatest run of a guest: so many runs, each with one summary per thread, all tests run, none failed, at
 * least one submission per test went through the portal, and the device reports no software error at the end.
 */
export function expectCleanCopies(guest: GuestResult, runs: number, threads: number, iterations: number): void {
  const summaries = guest.parts('dmatest').map((lines) => lines.map(parseSummary));
  const perfect = Array.from({ length: threads }, () => ({ tests: iterations, failures: 0 }));
  expect(summaries).toEqual(Array.from({ length: runs }, () => perfect));
  const submissions = guest.parts('submissions').map(([count]) => Number(count));
  expect(submissions).toHaveLength(runs);
  expect(Math.min(...submissions)).toBeGreaterThanOrEqual(threads * iterations);
  for (const errors of guest.parts('errors')) expect(errors.join('')).toMatch(/^[0,]+$/);
}
