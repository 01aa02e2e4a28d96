// The PCI function of DSA 1.0 as its specification lists it (appendix C): every capability that this package has, and
// the extended ones as a vendor would declare them.
import {
  addressTranslation,
  advancedErrorReporting,
  capability,
  configSpace,
  group,
  memoryBar,
  msix,
  pageRequest,
  pasid,
  pciExpress,
  powerManagement,
  reg16,
  reg32,
  ro,
  rw,
} from '../../../../src/emulation/index.ts';

export const vectors = { vectors: 9, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } } as const;

const aer = advancedErrorReporting({
  offset: 0x100,
  uncorrectable: [
    'dataLinkProtocol',
    'poisonedTlp',
    'completionTimeout',
    'completerAbort',
    'unexpectedCompletion',
    'malformedTlp',
    'unsupportedRequest',
    'internal',
  ],
  correctable: ['advisoryNonFatal'],
  fatal: ['malformedTlp', 'internal'],
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
    addressTranslation({ offset: 0x220 }),
    pasid({ offset: 0x230, privileged: true }),
    pageRequest({ offset: 0x240, capacity: 0x200 }),
  ],
});
