/** The device that is modelled: what its datasheet would say, in numbers. */

export const Region = { bar0: 0, bar1: 1, bar2: 2, bar4: 4, rom: 6, config: 7, vga: 8, log: 9, mailbox: 10 } as const;
export const REGIONS = 11;

/** Rights: READ 1, WRITE 2. `space`: what COMMAND switches on. */
export const regionFacts: Readonly<
  Record<number, { readonly size: number; readonly rights: number; readonly space?: 'memory' | 'io' }>
> = {
  [Region.bar0]: { size: 0x1000, rights: 3, space: 'memory' },
  /** Memory that is to be read only. */
  [Region.bar1]: { size: 0x1000, rights: 1, space: 'memory' },
  /** Memory whose upper page can be mapped. */
  [Region.bar2]: { size: 0x2000, rights: 3, space: 'memory' },
  [Region.bar4]: { size: 0x20, rights: 3, space: 'io' },
  [Region.rom]: { size: 0x800, rights: 1 },
  [Region.config]: { size: 0x1000, rights: 3 },
  /** The device's own, to be read and mapped. */
  [Region.log]: { size: 0x1000, rights: 1 },
  /** The device's own, to be written only. */
  [Region.mailbox]: { size: 0x100, rights: 2 },
};

export const IDENTITY = { vendorId: 0x1d0f, deviceId: 0xf00d, classCode: 0x088000, revisionId: 0x21 } as const;

/** Registers of BAR 0. */
export const At = {
  id: 0x00,
  scratch: 0x04,
  mixed: 0x08,
  cause: 0x0c,
  hooked: 0x10,
  raise: 0x14,
  line: 0x18,
  kept: 0x1c,
  dmaAddress: 0x20,
  dmaLength: 0x28,
  dmaGo: 0x2c,
  fail: 0x30,
  wide: 0x100,
  msixTable: 0x800,
  msixPending: 0xc00,
} as const;

export const MSIX_VECTORS = 4;
export const MSI_VECTORS = 4;

/** Capabilities, and registers of config space that sequences go for. */
export const Config = {
  command: 0x04,
  status: 0x06,
  bars: 0x10,
  rom: 0x30,
  interruptLine: 0x3c,
  powerManagement: 0x40,
  powerControl: 0x44,
  msi: 0x50,
  msiControl: 0x52,
  msiMask: 0x60,
  msiPending: 0x64,
  msix: 0x70,
  msixControl: 0x72,
  express: 0x80,
  deviceControl: 0x88,
} as const;

/** What FAIL takes: an error, and what it does with the device. Any other value does nothing. */
export const Fail = { correctable: 0xe1, nonFatal: 0xe2, fatal: 0xe3, freeze: 0xe4 } as const;

/** Writes to BAR 0 that the VMM may make by signalling an eventfd: of that value, or of zeros for any. */
export const BELLS = [
  { offset: At.wide, size: 8, value: 0x1122_3344_5566_7788n },
  { offset: At.raise, size: 4, value: 2n },
  { offset: At.hooked, size: 4, value: undefined },
  { offset: At.cause, size: 2, value: 0x00ffn },
] as const;

/** The most bytes that the device moves at a time. */
export const DMA_LIMIT = 0x2fff;

/** What BAR 1 and the ROM hold. */
export const ROM_CONTENT = Uint8Array.from({ length: 0x300 }, (_, index) => (index * 31) & 0xff);
export const TABLE_CONTENT = Uint8Array.from({ length: 0x1000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
export const LOG_CONTENT = new TextEncoder().encode('ready\n');
/** The type of the device's own regions. */
export const VENDOR_REGION = 0x8000_1d0f;
