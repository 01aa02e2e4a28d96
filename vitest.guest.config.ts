import { defineConfig } from 'vitest/config';

// The tests that boot a guest in QEMU (npm run test:guest). The first run makes the guest and needs root; see
// test/guest/setup.sh.
export default defineConfig({
  test: {
    include: ['test/guest/**/*.test.ts'],
    pool: 'forks',
    // A guest keeps every processor busy.
    fileParallelism: false,
    globalSetup: ['test/guest/global-setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
