import { nativeSuite } from './support/native-suite.ts';

nativeSuite('address,undefined');
