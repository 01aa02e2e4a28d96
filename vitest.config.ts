import { defineConfig } from 'vitest/config';

import { CompileAhead, WORKERS } from './test/support/sequencer.ts';
import { sharingFiles } from './test/support/sharing.ts';

const sharing = sharingFiles();

// Everything that needs no root, no network, no QEMU and no pciutils. Tests that need those, and those that take long, have a
// config of their own.
export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'own process',
          include: ['test/**/*.test.ts'],
          exclude: ['test/guest/**', 'test/pciutils/**', 'test/native/native-{address,thread}.test.ts', ...sharing],
          typecheck: {
            enabled: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: './tsconfig.json',
          },
        },
      },
      { extends: true, test: { name: 'shared process', include: sharing, isolate: false } },
    ],
    pool: 'forks',
    maxWorkers: WORKERS,
    sequence: { sequencer: CompileAhead },
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/setup.ts'],
    // They only end what hangs: helpers that wait for something give up after 60 seconds, and say for what.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    teardownTimeout: 10_000,
  },
});
