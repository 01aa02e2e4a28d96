import type { DsaDescription } from '../../../../src/backends/idxd/description.ts';
import { type DsaRegisterBlock, dsaRegisters } from '../../../../src/backends/idxd/registers.ts';
import { DSA_VERSIONS, operationsOf } from '../../../../src/backends/idxd/versions.ts';
import { RegisterRegion } from '../../../../src/emulation/index.ts';
import { supportedOperations } from '../../../../src/engine/index.ts';

interface Header {
  readonly type: string;
  readonly attributes: Readonly<Record<string, never>>;
  readonly sections: readonly (readonly [name: string, size: number])[];
}

const FRONT = 16;

/** A migration stream whose BAR0 somebody has changed on the way, locks included. */
export function altered(stream: Uint8Array, change: (bar0: RegisterRegion<DsaRegisterBlock>) => void): Uint8Array {
  const bytes = Uint8Array.from(stream);
  const headerSize = new DataView(bytes.buffer).getUint32(8, true);
  const header = JSON.parse(Buffer.from(bytes.subarray(FRONT, FRONT + headerSize)).toString()) as Header;
  let at = 2 * FRONT + headerSize;
  for (const [name, size] of header.sections) {
    if (name === 'registers 0') {
      const bar0 = new RegisterRegion(dsaRegisters(describe(header)));
      bar0.restore(bytes.subarray(at, at + size));
      change(bar0);
      bytes.set(bar0.snapshot(), at);
      return bytes;
    }
    at += size;
  }
  throw new Error('the stream has no BAR0');
}

function describe({ attributes, type }: Header): DsaDescription {
  const { code: version, features } = DSA_VERSIONS['1.0'];
  const common = { version, features, operations: operationsOf('1.0', supportedOperations()) };
  if (type.endsWith('dsa-cfg-v1'))
    return { configurable: true, priority: 0, ...attributes, ...common } as DsaDescription;
  return { configurable: false, queues: 1, groups: 1, engines: 1, ...attributes, ...common } as DsaDescription;
}
