import { native } from './native.ts';

/**
 * The operations that engines execute, as the 32 bytes of OPCAP: bit n is operation code n (DSA specification 9.2.6).
 * A new copy each time.
 */
export function supportedOperations(): Uint8Array {
  return native.supportedOperations();
}
