import { defineConfig } from 'vitest/config';

// The tests in which pciutils reads what we declare (npm run test:pciutils). Apart from npm test, which needs nothing but
// the compilers: a reader that is missing must fail, not be skipped.
export default defineConfig({
  test: {
    include: ['test/pciutils/**/*.test.ts'],
    pool: 'forks',
    globalSetup: ['test/global-setup.ts', 'test/pciutils/global-setup.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 30_000,
  },
});
