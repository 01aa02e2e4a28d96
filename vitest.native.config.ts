import { defineConfig } from 'vitest/config';

import { CompileAhead, WORKERS } from './test/support/sequencer.ts';

// What is below Node-API, under AddressSanitizer and ThreadSanitizer (npm run test:native). Apart from npm test, whose time is
// short: most of this one's goes to the compiler.
export default defineConfig({
  test: {
    include: ['test/native/native-{address,thread}.test.ts'],
    pool: 'forks',
    maxWorkers: WORKERS,
    sequence: { sequencer: CompileAhead },
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 90_000,
  },
});
