import { type AttributeValues, choice, defineMdevType, flag, integer, type MdevType } from '../../mdev/index.ts';
import type { DsaDescription } from './description.ts';
import { createDsa, dsaRegions } from './device.ts';
import type { EnginePool } from './engine-pool.ts';
import { pciDeclaration } from './pci.ts';
import type { ResourceBooks } from './resources.ts';
import { EVENT_LOGS } from './values.ts';
import { DSA_VERSIONS, type DsaVersionName, operationsOf } from './versions.ts';

/** What the parent's types are made of. */
export interface TypeContext {
  readonly books: ResourceBooks;
  readonly pool: EnginePool;
  /** What the parent's engines execute, as the bytes of OPCAP. */
  readonly operations: Uint8Array;
}

/** Largest value of WQCFG.MODE.priority. */
const MAX_PRIORITY = 15;

/** Attributes of all types: what the device says that it can do. */
export const limits = {
  // As on Sapphire Rapids. SPDK takes at least 2^30 bytes for granted.
  maxTransferShift: integer({ minimum: 12, maximum: 31, default: 31, description: 'Largest transfer, 2^N bytes' }),
  // Without "batch of one" (GENCAP bit 52) a queue with shift 0 cannot be enabled.
  maxBatchShift: integer({ minimum: 1, maximum: 10, default: 10, description: 'Largest batch, 2^N descriptors' }),
  version: choice({
    values: ['1.0', '2.0'],
    default: '1.0',
    description: 'Version of the DSA specification: operations and flags that there are',
  }),
  interruptHandles: flag({ default: false, description: 'The guest must request its interrupt handles' }),
};

/** Attributes of types that have shared queues. */
export const pasids = {
  pasid: flag({
    default: false,
    description:
      "Has ATS, PASID and PRI, without which Linux uses no shared queue. Engines reach the function's own memory by every PASID: for work of the guest's kernel alone",
  }),
};

/** What follows from the version. */
export function versionOf(
  name: DsaVersionName,
  operations: Uint8Array,
): Pick<DsaDescription, 'version' | 'features' | 'operations'> {
  const { code, features } = DSA_VERSIONS[name];
  return { version: code, features, operations: operationsOf(name, operations) };
}

/** Attributes of types with one queue on an engine that other instances share. */
export function shareOfEngine({ books }: TypeContext) {
  const { entries, queues } = books.total;
  return {
    entries: integer({
      minimum: 1,
      maximum: entries,
      default: Math.max(1, Math.floor(entries / queues)),
      description: 'Descriptors that the queue holds',
    }),
    priority: integer({
      minimum: 1,
      maximum: MAX_PRIORITY,
      default: 8,
      description: 'Share of its engine, against the other queues there',
    }),
  };
}

/**
 * `dsa-1dwq-v1`: one dedicated queue on an engine that other instances share, in fixed configuration (GENCAP bit 31
 * clear). The guest can use it as it comes, and can change nothing about it.
 */
export function oneDedicatedQueueType(context: TypeContext): MdevType {
  const { books, pool, operations } = context;
  const attributes = { ...shareOfEngine(context), ...limits };
  const describe = (values: AttributeValues<typeof attributes>): DsaDescription => ({
    queues: 1,
    groups: 1,
    engines: 1,
    configurable: false,
    ...values,
    ...versionOf(values.version, operations),
  });
  return defineMdevType({
    id: 'dsa-1dwq-v1',
    name: 'DSA with one dedicated work queue',
    description: 'One dedicated work queue in fixed configuration, on an engine shared with other instances.',
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

/** `dsa-cfg-v1`: queues, groups and engines of its own, configured by the guest. All of the parent by default. */
export function configurableType({ books, pool, operations }: TypeContext): MdevType {
  const { total } = books;
  const upTo = (maximum: number, description: string): ReturnType<typeof integer> =>
    integer({ minimum: 1, maximum, default: maximum, description });
  const attributes = {
    queues: upTo(total.queues, 'Work queues'),
    entries: upTo(total.entries, 'Descriptors that all queues hold together'),
    groups: upTo(total.groups, 'Groups'),
    engines: upTo(total.engines, 'Engines'),
    eventLog: choice({
      values: EVENT_LOGS,
      default: 'off',
      description: 'Bytes of an entry of the event log, in which the guest can have its errors',
    }),
    queueModes: choice({
      values: ['dedicated', 'shared', 'both'],
      default: 'dedicated',
      description: 'What the guest may make of its queues',
    }),
    ...limits,
    ...pasids,
  };
  const describe = (values: AttributeValues<typeof attributes>): DsaDescription => ({
    configurable: true,
    priority: 0,
    ...values,
    ...versionOf(values.version, operations),
  });
  return defineMdevType({
    id: 'dsa-cfg-v1',
    name: 'DSA that the guest configures',
    description: 'Work queues, groups and engines of its own, configured by the guest like a physical device.',
    attributes,
    // A queue without entries cannot be enabled. softwareDsa asks the same of the parent.
    checkAttributes: ({ entries, queues }) =>
      entries < queues
        ? `entries is ${entries}; expected at least ${queues}, one for each of the ${queues} queues`
        : undefined,
    pci: (values) => pciDeclaration(describe(values)),
    regions: (values) => dsaRegions(describe(values)),
    resources: {
      available: (values) => books.availableExclusive(values),
      allocate: (values) => pool.exclusive(values),
    },
    create: (context) => createDsa(context, describe(context.attributes)),
  });
}
