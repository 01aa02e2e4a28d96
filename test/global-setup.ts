import { propertySeed } from './support/seed.ts';

/** Runs once before all test files: names the seed, so that a failing property can be repeated. */
export default function announceSeed(): void {
  process.stdout.write(`fast-check seed ${String(propertySeed())} (FC_SEED=… selects another)\n`);
}
