import { type RegisterBlock, registerBlock, type Registers } from '../block.ts';
import { DeclarationError } from '../declaration-error.ts';
import type { RegisterGroup } from '../group.ts';
import type { Bars } from './bar.ts';
import { type BarRegisters, barRegisters } from './bar-registers.ts';
import type { Capability, PlacedCapability } from './capability.ts';
import { linkCapabilities } from './capability-chain.ts';
import type { CapabilityHeader } from './capability-header.ts';
import { CapabilityId } from './capability-ids.ts';
import { placeCapabilities } from './capability-places.ts';
import { type ExpansionRom, type ExpansionRomRegister, expansionRomRegister } from './expansion-rom.ts';
import { type HeaderRegisters, headerRegisters, type PciIdentity } from './header.ts';

/** What {@link configSpace} declares. */
export interface ConfigSpaceOptions<C extends readonly Capability[]> extends PciIdentity {
  /** BARs by number; none when absent. */
  readonly bars?: Bars;
  /** None when absent. */
  readonly rom?: ExpansionRom;
  /** In the order of the chain. */
  readonly capabilities?: C;
  /** 256 or 4,096 bytes; 4,096 when absent if there is a PCI Express or an extended capability. */
  readonly size?: 256 | 4096;
}

type CapabilityGroups<C extends Capability> = {
  readonly [K in C as K['name']]: RegisterGroup<CapabilityHeader<K> & K['registers']>;
};

/** Registers of a config space with these capabilities. */
export type ConfigSpaceRegisters<C extends Capability = never> = HeaderRegisters &
  BarRegisters &
  ExpansionRomRegister &
  CapabilityGroups<C>;

/** The config space of a PCI function. Plain data; made by {@link configSpace}. */
export interface ConfigSpace<R extends Registers = Registers> {
  readonly block: RegisterBlock<R>;
  readonly bars: Bars;
  readonly rom: ExpansionRom | undefined;
  /** In the order of the chains: standard ones, then extended ones. */
  readonly capabilities: readonly PlacedCapability[];
  /** Capabilities that are there and that the guest does not see, see `hideCapabilities`. */
  readonly hidden: readonly PlacedCapability[];
  readonly size: 256 | 4096;
}

/**
 * Declares a type 0 config space: the header, its BARs, and the capabilities with their chain.
 *
 * @throws {@link DeclarationError} that names the capability or BAR and what was expected: places that overlap or lie
 * outside, the first extended capability anywhere but at 0x100, names used twice, values that do not fit
 */
export function configSpace<const C extends readonly Capability[] = readonly []>(
  options: ConfigSpaceOptions<C>,
): ConfigSpace<ConfigSpaceRegisters<C[number]>> {
  const { bars = {}, rom } = options;
  const declared: readonly Capability[] = options.capabilities ?? [];
  const size = options.size ?? (declared.some(needsExtendedSpace) ? 4096 : 256);
  const capabilities = placeCapabilities(declared, size);
  const { groups, first } = linkCapabilities(capabilities);
  const registers: Record<string, Registers[string]> = {
    ...headerRegisters(options, {
      capabilities: first,
      hasIo: Object.values(bars).some(({ kind }) => kind === 'io'),
      express: declared.some(isPciExpress),
    }),
    ...barRegisters(bars),
    ...expansionRomRegister(rom),
  };
  for (const [name, registersOf] of Object.entries(groups)) {
    if (Object.hasOwn(registers, name))
      throw new DeclarationError(`configSpace: capability ${name} has the name of another register`);
    registers[name] = registersOf;
  }
  const block = registerBlock(size, registers) as unknown as RegisterBlock<ConfigSpaceRegisters<C[number]>>;
  return { block, bars, rom, capabilities, hidden: [], size };
}

function needsExtendedSpace(capability: Capability): boolean {
  return capability.version !== undefined || isPciExpress(capability);
}

function isPciExpress({ id, version }: Capability): boolean {
  return version === undefined && id === CapabilityId.pciExpress;
}
