import { Config, IDENTITY, MSI_VECTORS, MSIX_VECTORS } from './layout.ts';
import type { RegisterSpec } from './register-bank.ts';

const bits = (msb: number, lsb: number): bigint => ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);

/** Config space of the device: the type 0 header, then PM, MSI, MSI-X and PCI Express in this order of the chain. */
export const configRegisters = {
  VENDOR_ID: { offset: 0x00, size: 2, reset: BigInt(IDENTITY.vendorId) },
  DEVICE_ID: { offset: 0x02, size: 2, reset: BigInt(IDENTITY.deviceId) },
  // I/O, memory, bus master, parity, SERR, interrupt disable; the others are hardwired with PCI Express.
  COMMAND: { offset: 0x04, size: 2, writable: 0x0547n },
  // A list of capabilities; errors are cleared by writing ones.
  STATUS: { offset: 0x06, size: 2, reset: 0x10n, clears: 0xf900n },
  REVISION: { offset: 0x08, size: 4, reset: BigInt(IDENTITY.classCode) * 0x100n + BigInt(IDENTITY.revisionId) },
  CACHE_LINE: { offset: 0x0c, size: 1, writable: 0xffn },
  // BARs: memory of 4 KiB, 4 KiB and 8 KiB with 32 bits, ports of 32 bytes.
  BAR0: { offset: 0x10, size: 4, writable: bits(31, 12) },
  BAR1: { offset: 0x14, size: 4, writable: bits(31, 12) },
  BAR2: { offset: 0x18, size: 4, writable: bits(31, 13) },
  BAR4: { offset: 0x20, size: 4, reset: 1n, writable: bits(31, 5) },
  SUBSYSTEM_VENDOR: { offset: 0x2c, size: 2, reset: BigInt(IDENTITY.vendorId) },
  ROM: { offset: 0x30, size: 4, writable: bits(31, 11) | 1n },
  CAPABILITIES: { offset: 0x34, size: 1, reset: BigInt(Config.powerManagement) },
  INTERRUPT_LINE: { offset: 0x3c, size: 1, writable: 0xffn },
  INTERRUPT_PIN: { offset: 0x3d, size: 1, reset: 1n },

  PM_HEADER: { offset: Config.powerManagement, size: 2, reset: BigInt((Config.msi << 8) | 0x01) },
  // Version 3; neither D1 nor D2.
  PMC: { offset: 0x42, size: 2, reset: 3n },
  PMCSR: { offset: Config.powerControl, size: 2, writable: 3n },

  MSI_HEADER: { offset: Config.msi, size: 2, reset: BigInt((Config.msix << 8) | 0x05) },
  // 64-bit addresses, a mask for each vector, 4 vectors asked for.
  MSI_CONTROL: { offset: Config.msiControl, size: 2, reset: 0x0184n, writable: 0x71n },
  MSI_ADDRESS: { offset: 0x54, size: 4, writable: bits(31, 2) },
  MSI_ADDRESS_HIGH: { offset: 0x58, size: 4, writable: bits(31, 0) },
  MSI_DATA: { offset: 0x5c, size: 2, writable: 0xffffn },
  MSI_MASK: { offset: Config.msiMask, size: 4, writable: bits(MSI_VECTORS - 1, 0) },
  MSI_PENDING: { offset: Config.msiPending, size: 4 },

  MSIX_HEADER: { offset: Config.msix, size: 2, reset: BigInt((Config.express << 8) | 0x11) },
  MSIX_CONTROL: { offset: Config.msixControl, size: 2, reset: BigInt(MSIX_VECTORS - 1), writable: 0xc000n },
  MSIX_TABLE: { offset: 0x74, size: 4, reset: 0x800n },
  MSIX_PENDING: { offset: 0x78, size: 4, reset: 0xc00n },

  EXPRESS_HEADER: { offset: Config.express, size: 2, reset: 0x10n },
  // Version 2, integrated endpoint: no link.
  EXPRESS: { offset: 0x82, size: 2, reset: 0x92n },
  // Role-based errors, function-level reset.
  DEVCAP: { offset: 0x84, size: 4, reset: 0x1000_8000n },
  DEVCTL: {
    offset: Config.deviceControl,
    size: 2,
    reset: 0x2810n,
    writable: 0xf9ffn,
    hidden: 0x8000n,
    kept: bits(7, 5),
  },
  DEVSTS: { offset: 0x8a, size: 2, clears: 0xfn },
  DEVCTL2: { offset: 0xa8, size: 2, writable: 0x141fn },
} as const satisfies Readonly<Record<string, RegisterSpec>>;

const entries = Array.from({ length: MSIX_VECTORS }, (_, vector) => 0x800 + 16 * vector);

/** BAR 0. */
export const barRegisters = {
  ID: { offset: 0x00, size: 4, reset: 0x600d_cafen },
  SCRATCH: { offset: 0x04, size: 4, writable: bits(31, 0) },
  MIXED: { offset: 0x08, size: 4, reset: 0xa5n, writable: bits(7, 4) | bits(27, 16) },
  CAUSE: { offset: 0x0c, size: 4, clears: bits(15, 0) },
  HOOKED: { offset: 0x10, size: 4, writable: bits(31, 0) },
  RAISE: { offset: 0x14, size: 4, writable: bits(31, 0), hidden: bits(31, 0) },
  LINE: { offset: 0x18, size: 4, writable: 1n },
  KEPT: { offset: 0x1c, size: 4, writable: bits(31, 0), kept: bits(31, 0) },
  DMA_ADDRESS: { offset: 0x20, size: 8, writable: bits(63, 0) },
  DMA_LENGTH: { offset: 0x28, size: 4, writable: bits(31, 0) },
  DMA_GO: { offset: 0x2c, size: 4, writable: bits(31, 0), hidden: bits(31, 0) },
  FAIL: { offset: 0x30, size: 4, writable: bits(31, 0), hidden: bits(31, 0) },
  WIDE: { offset: 0x100, size: 8, writable: bits(63, 0) },
  PENDING: { offset: 0xc00, size: 8 },
  ...(Object.fromEntries(
    entries.flatMap((offset, vector) => [
      [`ENTRY${vector}_ADDRESS`, { offset, size: 4, writable: bits(31, 2) }],
      [`ENTRY${vector}_ADDRESS_HIGH`, { offset: offset + 4, size: 4, writable: bits(31, 0) }],
      [`ENTRY${vector}_DATA`, { offset: offset + 8, size: 4, writable: bits(31, 0) }],
      [`ENTRY${vector}_CONTROL`, { offset: offset + 12, size: 4, reset: 1n, writable: 1n }],
    ]),
  ) as Readonly<Record<`ENTRY${number}_CONTROL`, RegisterSpec>>),
} as const satisfies Readonly<Record<string, RegisterSpec>>;

/** BAR 4. */
export const portRegisters = {
  PORT0: { offset: 0x00, size: 1, writable: 0xffn },
  PORT1: { offset: 0x01, size: 1, writable: 0x0fn, reset: 0xf0n },
  PORT2: { offset: 0x02, size: 2, writable: 0xffffn },
  EVENTS: { offset: 0x08, size: 4, reset: 0xffn, clears: 0xffn },
} as const satisfies Readonly<Record<string, RegisterSpec>>;
