import type { DmaLimits } from '../dma/dma-limits.ts';
import { MAX_TIMER_MS } from '../errors/time-limit.ts';
import { choice, flag, integer } from '../type/attributes.ts';
import { defaultPlatformCapabilities as defaults, type PlatformCapabilities } from './platform-capabilities.ts';
import type { PlatformSwitch } from './platform-switch.ts';

/** The name of a switch: that of its property, and `dma.NAME` for limits of DMA. */
export type PlatformSwitchName = Exclude<keyof PlatformCapabilities, 'dma'> | `dma.${keyof DmaLimits}`;

/**
 * Every switch of {@link PlatformCapabilities}, by name. The one table by which they are read from text, checked wherever they come from, listed, and compared
 * when an instance moves.
 */
export const PLATFORM_SWITCHES: Readonly<Record<PlatformSwitchName, PlatformSwitch>> = {
  msixOwner: {
    ...choice({
      values: ['client', 'device'],
      default: defaults.msixOwner,
      description: 'who honours the masks in the MSI-X table; QEMU does',
    }),
    seenBy: 'guest',
    unnamed: 'client',
  },
  enforceMemoryDecode: {
    ...flag({
      default: defaults.enforceMemoryDecode,
      description: 'BARs answer only while COMMAND enables them',
    }),
    // A guest whose client programs COMMAND finds nothing behind a BAR that is off, here or there.
    seenBy: 'client',
  },
  subPageBars: {
    ...flag({ default: defaults.subPageBars, description: 'BARs may be smaller than a page' }),
    seenBy: 'guest',
    unnamed: 'true',
  },
  rom: {
    ...choice({
      values: ['shadow', 'map'],
      default: defaults.rom,
      description: 'the expansion ROM is copied at any time, or read through its BAR',
    }),
    seenBy: 'client',
  },
  snooping: {
    ...flag({ default: defaults.snooping, description: 'DMA is coherent with processors’ caches' }),
    seenBy: 'client',
  },
  enforceBusMaster: {
    ...flag({
      default: defaults.enforceBusMaster,
      description: 'the device reaches guest memory only while COMMAND.busMaster is set',
    }),
    seenBy: 'guest',
    unnamed: 'true',
  },
  reportErrors: {
    ...flag({
      default: defaults.reportErrors,
      description: 'an error that freezes the instance signals ERR, on which QEMU stops its guest',
    }),
    seenBy: 'client',
  },
  answersWithin: {
    ...integer({
      minimum: 1,
      maximum: MAX_TIMER_MS,
      default: defaults.answersWithin,
      description: 'milliseconds within which a step of a migration is answered; QEMU waits 5000',
    }),
    seenBy: 'client',
  },
  askUnmapped: {
    ...flag({
      default: defaults.askUnmapped,
      description: 'a client that maps nothing is asked for each access by message',
    }),
    seenBy: 'client',
  },
  pasid: {
    ...choice({
      values: ['in-process', 'hidden', 'shown'],
      default: defaults.pasid,
      description: 'who sees ATS, PASID and PRI, which do nothing over vfio-user; "mdev serve" hides them',
    }),
    // What it hides from a guest is among an instance's hiddenCapabilities.
    seenBy: 'client',
  },
  'dma.maxMappings': {
    ...integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      default: defaults.dma.maxMappings,
      description: 'DMA maps at a time',
    }),
    seenBy: 'client',
  },
  'dma.pageSizes': {
    kind: 'pageSizes',
    default: defaults.dma.pageSizes,
    description: 'what DMA maps are multiples of, 4096 or more',
    seenBy: 'client',
  },
  'dma.windows': {
    kind: 'windows',
    default: defaults.dma.windows,
    description: 'addresses that may be mapped, ascending',
    seenBy: 'client',
  },
  'dma.maxDirtyLogBytes': {
    ...integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      default: defaults.dma.maxDirtyLogBytes,
      description: 'memory that a log of dirty pages may take, bytes',
    }),
    seenBy: 'client',
  },
  hiddenCapabilities: {
    kind: 'names',
    default: defaults.hiddenCapabilities,
    description: 'capabilities that the guest does not see, such as ATS',
    seenBy: 'guest',
    unnamed: '',
  },
  hiddenFields: {
    kind: 'names',
    default: defaults.hiddenFields,
    description: 'fields that read zero, such as PCIE.DEVCAP.functionLevelReset',
    seenBy: 'guest',
    unnamed: '',
  },
};
