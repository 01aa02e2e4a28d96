import { describe, type RegisterDescription } from '../../emulation/index.ts';
import type { AttributeValues } from './attributes.ts';
import type { MdevState } from '../device/life-cycle.ts';
import type { MdevDevice } from '../device/mdev-device.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { type BarName, barsOf, type RegionName, regionsOf } from '../regions/regions.ts';
import { type IrqInfo, type RegionInfo, VfioRegion } from '../vfio/vfio.ts';

/** One BAR of an instance. */
export interface BarDescription {
  readonly name: BarName;
  /** Also its VFIO region index. */
  readonly index: number;
  readonly kind: 'mmio' | 'portal' | 'memory';
  readonly space: 'memory' | 'io';
  /** Bytes. */
  readonly size: number;
  readonly width: 32 | 64;
  readonly prefetchable: boolean;
  /** The address that the guest gave it. */
  readonly address: bigint;
}

/** One capability of an instance. */
export interface CapabilityDescription {
  readonly name: string;
  readonly id: number;
  /** Offset in config space. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Of an extended capability. */
  readonly version: number | undefined;
}

/** An instance as data. */
export interface DeviceDescription {
  readonly uuid: string;
  readonly parent: string;
  readonly type: string;
  readonly state: MdevState;
  readonly attributes: AttributeValues;
  readonly platform: PlatformCapabilities;
  readonly bars: readonly BarDescription[];
  readonly capabilities: readonly CapabilityDescription[];
  /** Bytes of config space. */
  readonly configSpaceSize: number;
  /** Every register of config space with its present value. */
  readonly configSpace: readonly RegisterDescription[];
  /** Every register of the other regions with its present value. */
  readonly registers: Readonly<Partial<Record<RegionName, readonly RegisterDescription[]>>>;
  readonly regions: readonly RegionInfo[];
  readonly irqs: readonly IrqInfo[];
}

/** @internal */
export function describeDevice(device: MdevDevice, mdevFunction: MdevFunction): DeviceDescription {
  const { configSpace } = mdevFunction;
  const bars = barsOf(mdevFunction.declaredRegions);
  return {
    uuid: device.uuid,
    parent: device.parent.name,
    type: device.type.id,
    state: device.state,
    attributes: device.attributes,
    platform: device.platform,
    bars: bars.map(({ name, index, region: { kind, prefetchable, size, space, width } }) => ({
      name,
      index,
      kind,
      space,
      size,
      width,
      prefetchable,
      address: mdevFunction.config.barAddress(index) ?? 0n,
    })),
    capabilities: configSpace.capabilities.map(({ name, id, offset, size, version }) => ({
      name,
      id,
      offset,
      size,
      version,
    })),
    configSpaceSize: configSpace.size,
    configSpace: registersOf(mdevFunction, VfioRegion.config),
    registers: Object.fromEntries(
      regionsOf(mdevFunction.declaredRegions)
        .filter(({ region }) => region.kind === 'mmio')
        .map(({ name, index }) => [name, registersOf(mdevFunction, index)]),
    ),
    regions: mdevFunction.regions,
    irqs: mdevFunction.irqInfos,
  };
}

function registersOf(mdevFunction: MdevFunction, index: number): readonly RegisterDescription[] {
  const region = mdevFunction.registers.get(index);
  return describe(region.block, region);
}
