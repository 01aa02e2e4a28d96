import { type AttributeValues, defineMdevType, type MdevType } from '../../mdev/index.ts';
import type { DsaDescription } from './description.ts';
import { createDsa, dsaRegions } from './device.ts';
import { pciDeclaration } from './pci.ts';
import { limits, pasids, shareOfEngine, type TypeContext, versionOf } from './types.ts';

/**
 * `dsa-1swq-v1`: one shared queue on an engine that other instances share. The guest configures it (GENCAP bit 31 set),
 * because Linux refuses a shared queue in fixed configuration; how large it can be and its share of the engine are the
 * operator's.
 */
export function oneSharedQueueType(context: TypeContext): MdevType {
  const { books, pool, operations } = context;
  const attributes = { ...shareOfEngine(context), ...limits, ...pasids };
  const describe = (values: AttributeValues<typeof attributes>): DsaDescription => ({
    queues: 1,
    groups: 1,
    engines: 1,
    configurable: true,
    queueModes: 'shared',
    ...values,
    ...versionOf(values.version, operations),
  });
  return defineMdevType({
    id: 'dsa-1swq-v1',
    name: 'DSA with one shared work queue',
    description: 'One shared work queue that the guest configures, on an engine shared with other instances.',
    attributes,
    pci: (values) => pciDeclaration(describe(values)),
    regions: (values) => dsaRegions(describe(values)),
    resources: {
      available: (values) => books.availableShared(values.entries),
      allocate: (values) => pool.shared(values.entries),
    },
    create: (instance) => createDsa(instance, describe(instance.attributes)),
  });
}
