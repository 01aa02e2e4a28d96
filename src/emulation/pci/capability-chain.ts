import type { Registers } from '../block.ts';
import { group, type RegisterGroup } from '../group.ts';
import type { PlacedCapability } from './capability.ts';
import { extendedHeader, headerOf } from './capability-header.ts';
import { hideRegisters } from './hidden-registers.ts';

/** The registers of capabilities, linked in chains. */
export interface CapabilityChain {
  /** By name of the capability. */
  readonly groups: Readonly<Record<string, RegisterGroup>>;
  /** Offset of the first capability of the first 256 bytes, 0 for none. */
  readonly first: number;
}

/**
 * Links capabilities in the two chains, in their order.
 *
 * @param hidden - names of those that neither chain leads to
 */
export function linkCapabilities(
  capabilities: readonly PlacedCapability[],
  hidden: ReadonlySet<string> = new Set(),
): CapabilityChain {
  const standard = capabilities.filter(({ version }) => version === undefined);
  const extended = capabilities.filter(({ version }) => version !== undefined);
  const isVisible = ({ name }: PlacedCapability): boolean => !hidden.has(name);
  return {
    groups: { ...groupsOf(standard, isVisible), ...groupsOf(extended, isVisible) },
    first: standard.find(isVisible)?.offset ?? 0,
  };
}

function groupsOf(
  chain: readonly PlacedCapability[],
  isVisible: (capability: PlacedCapability) => boolean,
): Readonly<Record<string, RegisterGroup>> {
  const visible = chain.filter(isVisible);
  const groups = chain.map((capability, i): [string, RegisterGroup] => {
    const { name, offset, registers, version } = capability;
    const next = visible[visible.indexOf(capability) + 1]?.offset ?? 0;
    if (isVisible(capability)) return [name, group(offset, { ...headerOf(capability, next), ...registers })];
    const nothing: Registers = hideRegisters({ ...headerOf(capability, 0), ...registers });
    // The extended chain begins at 0x100 whatever is there: a null capability leads on.
    const leads = i === 0 && version !== undefined && next !== 0;
    return [name, group(offset, leads ? { ...nothing, ...extendedHeader(0, 0, next) } : nothing)];
  });
  return Object.fromEntries(groups);
}
