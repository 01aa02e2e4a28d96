import fc from 'fast-check';

import { propertySeed } from './support/seed.ts';

fc.configureGlobal({ seed: propertySeed() });
