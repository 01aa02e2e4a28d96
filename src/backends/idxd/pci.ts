import {
  addressTranslation,
  advancedErrorReporting,
  msix,
  pageRequest,
  pasid,
  pciExpress,
  powerManagement,
} from '../../emulation/index.ts';
import type { DsaDescription } from './description.ts';
import { msixPlaces } from './layout.ts';

/** Intel. */
export const VENDOR_ID = 0x8086;
/** The DSA of Sapphire Rapids, which Linux's idxd, DPDK and SPDK know. */
export const DEVICE_ID = 0x0b25;
/** Base system peripheral, other. */
export const CLASS_CODE = 0x08_80_00;

/** Uncorrectable errors of a function that is integrated into the root complex: it has no link that could have others. */
const TRANSACTION_ERRORS = [
  'poisonedTlp',
  'completionTimeout',
  'completerAbort',
  'unexpectedCompletion',
  'malformedTlp',
  'unsupportedRequest',
  'internal',
] as const;

/**
 * The PCI function, laid out as that of the physical device (DSA specification, appendix C). Of its extended
 * capabilities it has AER, where `MdevDevice.error` records, and ATS, PASID and PRI where its description says so; nothing
 * behind LTR, TPH or VC exists here, and DEVCAP2 leaves out what would belong to what is not there.
 */
export function pciDeclaration(device: DsaDescription) {
  const pasids = device.pasid === true;
  return {
    vendorId: VENDOR_ID,
    deviceId: DEVICE_ID,
    classCode: CLASS_CODE,
    capabilities: [
      pciExpress({
        offset: 0x40,
        functionLevelReset: true,
        deviceCapabilities: { maxPayloadSupported: 2, extendedTag: true },
        deviceControl: { relaxedOrdering: true, extendedTag: true, noSnoop: true, maxReadRequest: 2 },
        deviceCapabilities2: {
          completionTimeoutDisable: true,
          tenBitTagCompleter: true,
          tenBitTagRequester: true,
          deferrableMemoryWriteCompleter: (device.queueModes ?? 'dedicated') !== 'dedicated',
          // A PASID is a prefix.
          ...(pasids ? { endToEndPrefix: true, maxEndToEndPrefixes: 1 } : {}),
        },
      }),
      msix({ offset: 0x80, ...msixPlaces(device.queues) }),
      powerManagement({ offset: 0x90 }),
      advancedErrorReporting({
        offset: 0x100,
        uncorrectable: TRANSACTION_ERRORS,
        correctable: ['advisoryNonFatal'],
      }),
      ...(pasids
        ? [
            addressTranslation({ offset: 0x220 }),
            pasid({ offset: 0x230, width: 20, privileged: true }),
            pageRequest({ offset: 0x240, capacity: 0x200 }),
          ]
        : []),
    ],
  };
}
