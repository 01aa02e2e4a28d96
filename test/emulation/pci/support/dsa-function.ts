// The PCI function of DSA 1.0 as its specification lists it (appendix C): every capability that this package has, and
// the extended ones as a vendor would declare them.
import {
  capability,
  configSpace,
  group,
  memoryBar,
  msix,
  pciExpress,
  powerManagement,
  reg16,
  reg32,
  ro,
  rw,
  w1c,
} from '../../../../src/emulation/index.ts';

export const vectors = { vectors: 9, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } } as const;

const errorBits = {
  dataLinkProtocol: w1c(4),
  poisonedTlp: w1c(12),
  completionTimeout: w1c(14),
  completerAbort: w1c(15),
  unexpectedCompletion: w1c(16),
  malformedTlp: w1c(18),
  unsupportedRequest: w1c(20),
  internal: w1c(22),
};

const aer = capability({
  name: 'AER',
  id: 0x0001,
  version: 2,
  offset: 0x100,
  size: 0x2c,
  registers: {
    UNCORRECTABLE_STATUS: reg32(0x04, errorBits, { survives: ['function', 'software'] }),
    UNCORRECTABLE_MASK: reg32(0x08, { mask: rw(26, 4) }, { reset: 0x0040_0000, survives: ['function', 'software'] }),
    UNCORRECTABLE_SEVERITY: reg32(0x0c, { severity: rw(26, 4) }, { reset: 0x0044_0000 }),
    CORRECTABLE_STATUS: reg32(0x10, { advisoryNonFatal: w1c(13) }),
    CORRECTABLE_MASK: reg32(0x14, { mask: rw(15, 0) }, { reset: 0x2000 }),
  },
});

const virtualChannel = capability({
  name: 'VC',
  id: 0x0002,
  version: 1,
  offset: 0x170,
  size: 0x28,
  registers: {
    PORT: reg32(0x04, { extendedChannels: ro(2, 0) }, { reset: 1 }),
    VC0: group(0x10, {
      CONTROL: reg32(4, { trafficClasses: rw(7, 0), id: ro(26, 24), enable: ro(31) }, { reset: 0x8000_00ffn }),
    }),
    VC1: group(0x1c, {
      CONTROL: reg32(4, { trafficClasses: rw(7, 1), id: rw(26, 24), enable: rw(31) }, { reset: 0x0100_0000 }),
    }),
  },
});

export const dsaFunction = configSpace({
  vendorId: 0x8086,
  deviceId: 0x0b25,
  classCode: 0x088000,
  bars: {
    0: memoryBar({ size: 0x10000, width: 64, prefetchable: true }),
    2: memoryBar({ size: 0x20000, width: 64, prefetchable: true }),
  },
  capabilities: [
    pciExpress({
      offset: 0x40,
      functionLevelReset: true,
      deviceCapabilities: { maxPayloadSupported: 2, extendedTag: true },
      deviceControl: { relaxedOrdering: true, extendedTag: true, noSnoop: true, maxReadRequest: 2 },
      deviceCapabilities2: {
        completionTimeoutDisable: true,
        latencyToleranceReporting: true,
        tenBitTagCompleter: true,
        tenBitTagRequester: true,
        extendedFormat: true,
        endToEndPrefix: true,
        maxEndToEndPrefixes: 1,
        deferrableMemoryWriteCompleter: true,
      },
    }),
    msix({ offset: 0x80, ...vectors }),
    powerManagement({ offset: 0x90 }),
    aer,
    capability({
      name: 'LTR',
      id: 0x0018,
      version: 1,
      offset: 0x150,
      size: 8,
      registers: { MAX_SNOOP: reg16(4, { latency: rw(12, 0) }), MAX_NO_SNOOP: reg16(6, { latency: rw(12, 0) }) },
    }),
    capability({
      name: 'TPH',
      id: 0x0017,
      version: 1,
      offset: 0x160,
      size: 0x0c,
      registers: {
        CAPABILITY: reg32(
          4,
          { modes: ro(2, 0), extended: ro(8), location: ro(10, 9), tableSize: ro(26, 16) },
          { reset: 0x0001_0205 },
        ),
        CONTROL: reg32(8, { mode: rw(2, 0), requester: rw(9, 8) }),
      },
    }),
    virtualChannel,
    // The appendix has VC lead to 0x200 and does not say what is there; any capability keeps the chain.
    capability({ name: 'UNLISTED', id: 0x000b, version: 1, offset: 0x200, size: 0x10, registers: {} }),
    capability({
      name: 'ATS',
      id: 0x000f,
      version: 1,
      offset: 0x220,
      size: 8,
      registers: {
        CAPABILITY: reg16(4, { queueDepth: ro(4, 0), pageAligned: ro(5), globalInvalidate: ro(6) }, { reset: 0x60 }),
        CONTROL: reg16(6, { smallestUnit: rw(4, 0), enable: rw(15) }),
      },
    }),
    capability({
      name: 'PASID',
      id: 0x001b,
      version: 1,
      offset: 0x230,
      size: 8,
      registers: {
        CAPABILITY: reg16(4, { privileged: ro(2), width: ro(12, 8) }, { reset: 0x1404 }),
        CONTROL: reg16(6, { enable: rw(0), privileged: rw(2) }),
      },
    }),
    capability({
      name: 'PRI',
      id: 0x0013,
      version: 1,
      offset: 0x240,
      size: 0x10,
      registers: {
        CONTROL: reg16(4, { enable: rw(0), reset: rw(1) }),
        STATUS: reg16(
          6,
          { failure: w1c(0), unexpected: w1c(1), stopped: ro(8), pasidRequired: ro(15) },
          { reset: 0x8100 },
        ),
        CAPACITY: reg32(8, { requests: ro(31, 0) }, { reset: 0x200 }),
        ALLOCATION: reg32(12, { requests: rw(31, 0) }),
      },
    }),
  ],
});
