import { availableParallelism } from 'node:os';

import { BaseSequencer, type TestSpecification } from 'vitest/node';

import { buildAhead, testsOf } from '../native/support/suites.ts';

/** Test files in vitest's order, but those that wait for a compiler last; it starts with the first of the others. */
export class CompileAhead extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isNative = ({ moduleId }: TestSpecification): boolean => testsOf(moduleId).length > 0;
    const native = sorted.filter(isNative);
    // Whoever asks for a single test wants that one only.
    if (this.ctx.config.testNamePattern === undefined) void buildAhead(native.map(({ moduleId }) => moduleId));
    return [...sorted.filter((file) => !isNative(file)), ...native];
  }
}

/** Test files at a time: one per processor, and two on a single one, because many of them mostly wait. */
export const WORKERS = Math.max(2, availableParallelism());
