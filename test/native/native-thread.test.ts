import { nativeSuite } from './support/native-suite.ts';

nativeSuite('thread');
