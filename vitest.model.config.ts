import { defineConfig } from 'vitest/config';

// Random sequences of messages against a model of the server (npm run test:model). Apart from npm test, whose time is short.
export default defineConfig({
  test: {
    include: ['test/protocol/model/**/*.model.ts'],
    pool: 'forks',
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 3_600_000,
  },
});
