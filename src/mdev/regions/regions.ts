import type { BarNumber, RegisterBlock } from '../../emulation/index.ts';
import type { IoEventFd } from './io-event-fd.ts';
import { VFIO_REGIONS, VFIO_REGIONS_MAX, VfioRegion, VfioRegionFlag } from '../vfio/vfio.ts';

/** What a client may do with a region. */
export type RegionAccess = 'readWrite' | 'readOnly' | 'writeOnly';

/**
 * How a mapping of a region should be cached. Kept with the region and told in its {@link RegionInfo}: memory of a file
 * is cached write-back whatever this says, so who maps it on behalf of a guest applies it there.
 */
export type CacheAttribute = 'uncached' | 'writeCombining' | 'writeBack';

/** A part of a region. */
export interface RegionArea {
  /** Bytes from the region's start. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** What of a region a client may map. */
export interface RegionMapping {
  /** By ascending offset, whole pages of 4 KiB. */
  readonly areas: readonly RegionArea[];
  /** One descriptor for all areas, which is what QEMU takes, or one for each. */
  readonly descriptors: 'one' | 'perArea';
  readonly cache: CacheAttribute;
}

/** The kind of a device-specific region (`VFIO_REGION_INFO_CAP_TYPE`). */
export interface RegionType {
  /** 32 bits; with bit 31, of the PCI vendor whose id is in bits 15:0. */
  readonly type: number;
  /** 32 bits. */
  readonly subtype: number;
}

interface RegionBase {
  /** Bytes. */
  readonly size: number;
  /** Address bits, where it is a BAR. */
  readonly width: 32 | 64;
  /** Where it is a BAR. */
  readonly prefetchable: boolean;
  /** What its addresses are, where it is a BAR. */
  readonly space: 'memory' | 'io';
  readonly access: RegionAccess;
  /** Absent: nothing can be mapped. */
  readonly mapping?: RegionMapping;
  /** Of a device-specific region. */
  readonly type?: RegionType;
}

/** A region whose contents are a register block, and memory where it can be mapped. */
export interface MmioRegion<B extends RegisterBlock = RegisterBlock> extends RegionBase {
  readonly kind: 'mmio';
  readonly block: B;
  /** Bells that a VMM may signal instead of sending a write. */
  readonly ioEventFds?: readonly IoEventFd[];
}

/**
 * A memory BAR that work is submitted to. An engine serves it; without one, reads give all ones and writes are dropped.
 */
export interface PortalRegion extends RegionBase {
  readonly kind: 'portal';
}

/** A region of plain memory. */
export interface MemoryRegion extends RegionBase {
  readonly kind: 'memory';
  /** What it begins with, and has again after a cold reset; zeros behind it. */
  readonly content?: Uint8Array;
}

/** The expansion ROM. */
export interface RomRegion extends RegionBase {
  readonly kind: 'rom';
  /** Reads behind it give all ones. */
  readonly content: Uint8Array;
}

/** What can be behind a BAR. */
export type Region = MmioRegion | PortalRegion | MemoryRegion;
/** What any region can be. */
export type AnyRegion = Region | RomRegion;
/** Names of the BARs. */
export type BarName = 'bar0' | 'bar1' | 'bar2' | 'bar3' | 'bar4' | 'bar5';

type DeviceRegionNumber =
  9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 28 | 29 | 30 | 31;
/** Names of device-specific regions: their VFIO indices, from 9 on without a gap. */
export type DeviceRegionName = `region${DeviceRegionNumber}`;
/** Names of regions. */
export type RegionName = BarName | 'rom' | 'vga' | DeviceRegionName;

/** The regions of a type. */
export type Regions = Readonly<Partial<Record<BarName, Region>>> & {
  readonly rom?: RomRegion;
  readonly vga?: MmioRegion;
} & Readonly<Partial<Record<DeviceRegionName, MmioRegion | MemoryRegion>>>;

/** A region of a type. */
export interface DeclaredRegion {
  readonly name: RegionName;
  /** VFIO region index. */
  readonly index: number;
  readonly region: AnyRegion;
}

/** A BAR of a type. */
export interface DeclaredBar {
  readonly name: BarName;
  /** Its number, which is also its VFIO region index. */
  readonly index: BarNumber;
  readonly region: Region;
}

/** The VFIO index of a region, or undefined for a name that is none. */
export function regionIndex(name: string): number | undefined {
  if (name === 'rom' || name === 'vga') return VfioRegion[name];
  const [, kind, number] = /^(bar|region)(0|[1-9][0-9]*)$/.exec(name) ?? [];
  const index = Number(number);
  if (kind === 'bar') return index <= VfioRegion.bar5 ? index : undefined;
  return kind === 'region' && index >= VFIO_REGIONS && index < VFIO_REGIONS_MAX ? index : undefined;
}

/** The regions that a type has, by ascending index; entries with a name that is none are left out. */
export function regionsOf(regions: Regions): readonly DeclaredRegion[] {
  return Object.entries(regions)
    .flatMap(([name, region]) => {
      const index = regionIndex(name);
      return index === undefined ? [] : [{ name: name as RegionName, index, region }];
    })
    .sort((left, right) => left.index - right.index);
}

/** The BARs that a type has, by ascending index. */
export function barsOf(regions: Regions): readonly DeclaredBar[] {
  return regionsOf(regions).filter((declared): declared is DeclaredBar => declared.index <= VfioRegion.bar5);
}

/** VFIO's flags for what a client may do with a region. */
export function accessFlags(access: RegionAccess): number {
  return (access === 'writeOnly' ? 0 : VfioRegionFlag.read) | (access === 'readOnly' ? 0 : VfioRegionFlag.write);
}
