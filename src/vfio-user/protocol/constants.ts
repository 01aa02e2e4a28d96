/**
 * vfio-user on the wire: facts only. All numbers are in host byte order, which is little-endian on every platform that this package runs on.
 */

/** Commands. */
export const Command = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  deviceGetInfo: 4,
  deviceGetRegionInfo: 5,
  deviceGetRegionIoFds: 6,
  deviceGetIrqInfo: 7,
  deviceSetIrqs: 8,
  regionRead: 9,
  regionWrite: 10,
  dmaRead: 11,
  dmaWrite: 12,
  deviceReset: 13,
  regionWriteMultiple: 15,
  deviceFeature: 16,
  migrationDataRead: 17,
  migrationDataWrite: 18,
} as const;

const commandNames = new Map<number, string>(Object.entries(Command).map(([name, value]) => [value, name]));

/** A command for people: "deviceSetIrqs", or "command 999". */
export function commandName(command: number): string {
  return commandNames.get(command) ?? `command ${command}`;
}

/** Bits of a header's flags. */
export const MessageFlag = {
  /** Bits 3:0 are the type: 0 command, 1 reply. */
  typeMask: 0xf,
  command: 0,
  reply: 1,
  /** The sender wants no reply to this command. */
  noReply: 0x10,
  /** The reply carries an errno and no body. */
  error: 0x20,
} as const;

/** Bytes of a header: id u16, command u16, size u32 (header included), flags u32, errno u32. */
export const HEADER_SIZE = 16;

/** Largest transfer of one message that we accept, bytes. */
export const MAX_TRANSFER = 1024 * 1024;
/** File descriptors of one message that we accept. */
export const MAX_MESSAGE_FDS = 16;
/** File descriptors that Linux carries in one message. */
export const SCM_MAX_FD = 253;
/** DMA maps that our client makes at most: as many as a server has by default. */
export const MAX_DMA_MAPS = 65_535;
/** The page size of our DMA maps, bytes. */
export const PAGE_SIZE = 4096;

/** The version that we speak. */
export const VERSION_MAJOR = 0;
export const VERSION_MINOR = 1;

/** DMA_UNMAP's flag: everything. */
export const DMA_UNMAP_ALL = 2;

export {
  /** DEVICE_GET_INFO's flags. */
  VfioDeviceFlag as DeviceFlag,
  /** DMA_MAP's rights, as the device sees the memory. */
  VfioDmaFlag as DmaRight,
  /** SET_IRQS: one kind of data and one action. */
  VfioIrqSetFlag as IrqSetFlag,
} from '../../mdev/vfio/vfio.ts';

/** DEVICE_FEATURE: what is to be done with the feature. */
export const DeviceFeatureFlag = { get: 0x1_0000, set: 0x2_0000, probe: 0x4_0000 } as const;
/** The bits of the feature's number. */
export const DEVICE_FEATURE_MASK = 0xffff;

export {
  /** The features of DEVICE_FEATURE that vfio-user knows. */
  DeviceFeature,
} from '../../mdev/vfio/features.ts';
