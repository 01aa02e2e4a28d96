import { supportedOperations } from '../../engine/index.ts';
import { MdevError, ParentDevice } from '../../mdev/index.ts';
import { EnginePool } from './engine-pool.ts';
import { MAX_ENGINES, MAX_ENTRIES, MAX_GROUPS, MAX_QUEUES } from './layout.ts';
import { ResourceBooks } from './resources.ts';
import { oneSharedQueueType } from './shared-queue-type.ts';
import { configurableType, oneDedicatedQueueType, type TypeContext } from './types.ts';

/** What a software DSA is to have. */
export interface SoftwareDsaOptions {
  /** `dsa0` when absent. */
  readonly name?: string;
  /** Work queues, 1 to 63; 8 when absent. */
  readonly queues?: number;
  /** Descriptors that all queues hold together, from one per queue to 65,535; 128 when absent. */
  readonly entries?: number;
  /** 1 to 8; 4 when absent. */
  readonly groups?: number;
  /** Threads that execute descriptors, 1 to 64; 4 when absent. */
  readonly engines?: number;
  /** The most engines that instances with a fixed queue share among them, 0 to all, which is the default. */
  readonly sharedEngines?: number;
}

/** The name of the driver, first part of the types' full names. */
export const DRIVER_NAME = 'idxd';

function checked(name: string, value: number, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new MdevError('EINVAL', `software DSA: ${name} is ${value}; expected ${minimum} to ${maximum}`);
}

/**
 * A DSA of software, to be sliced. It has no guest of its own: what its engines do is work of its instances.
 * @throws {@link MdevError} `EINVAL` that names the option and what was expected.
 */
export function softwareDsa(options: SoftwareDsaOptions = {}): ParentDevice {
  const { name = 'dsa0' } = options;
  const queues = checked('queues', options.queues ?? 8, 1, MAX_QUEUES);
  const entries = checked('entries', options.entries ?? 128, queues, MAX_ENTRIES);
  const groups = checked('groups', options.groups ?? 4, 1, MAX_GROUPS);
  const engines = checked('engines', options.engines ?? 4, 1, MAX_ENGINES);
  const sharedEngines = checked('sharedEngines', options.sharedEngines ?? engines, 0, engines);
  const books = new ResourceBooks(name, { queues, entries, groups, engines }, sharedEngines);
  const context: TypeContext = {
    books,
    pool: new EnginePool(name, books),
    operations: supportedOperations(),
  };
  return new ParentDevice({
    name,
    driverName: DRIVER_NAME,
    types: [oneDedicatedQueueType(context), oneSharedQueueType(context), configurableType(context)],
  });
}
