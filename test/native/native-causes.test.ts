import { nativeSuite } from './support/native-suite.ts';

nativeSuite(import.meta.filename);
