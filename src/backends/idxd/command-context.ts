import type { DsaDescription } from './description.ts';
import type { PasidState } from './pasid-state.ts';
import type { GroupBacking, Queues } from './queues.ts';
import type { DsaRegion } from './region.ts';

/** What the command processor works with. */
export interface CommandContext {
  readonly device: DsaDescription;
  readonly region: DsaRegion;
  readonly queues: Queues;
  readonly groups: GroupBacking;
  /** Whether the function may reach memory. */
  readonly busMaster: () => boolean;
  /** PASIDs, as config space says at that moment. */
  readonly pasids: () => PasidState;
  readonly trigger: (vector: number) => void;
}
