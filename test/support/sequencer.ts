import { availableParallelism } from 'node:os';

import { BaseSequencer, type TestSpecification } from 'vitest/node';

import { buildAhead, testsOf } from '../native/support/suites.ts';

/**
 * Test files in vitest's order, but those that wait for a compiler last, and before them those that share processes: vitest ends such a process when
 * another file is next. The compiler starts with the first of the others.
 */
export class CompileAhead extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isNative = ({ moduleId }: TestSpecification): boolean => testsOf(moduleId).length > 0;
    const shares = ({ project }: TestSpecification): boolean => !project.config.isolate;
    const native = sorted.filter(isNative);
    // Whoever asks for a single test wants that one only.
    if (this.ctx.config.testNamePattern === undefined) void buildAhead(native.map(({ moduleId }) => moduleId));
    const others = sorted.filter((file) => !isNative(file));
    return [...others.filter((file) => !shares(file)), ...others.filter(shares), ...native];
  }
}

/** Test files at a time: one more than there are processors, because many of them wait for other processes and for time to pass. */
export const WORKERS = availableParallelism() + 1;
