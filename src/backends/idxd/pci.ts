import { advancedErrorReporting, msix, pciExpress, powerManagement } from '../../emulation/index.ts';
import type { PciDeclaration } from '../../mdev/index.ts';
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
 * capabilities it has AER, where `MdevDevice.error` records; nothing behind LTR, TPH, VC, ATS, PASID or PRI exists here,
 * and DEVCAP2 leaves out what would belong to them, and deferrable memory writes.
 */
export function pciDeclaration(device: DsaDescription): PciDeclaration {
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
        deviceCapabilities2: { completionTimeoutDisable: true, tenBitTagCompleter: true, tenBitTagRequester: true },
      }),
      msix({ offset: 0x80, ...msixPlaces(device.queues) }),
      powerManagement({ offset: 0x90 }),
      advancedErrorReporting({
        offset: 0x100,
        uncorrectable: TRANSACTION_ERRORS,
        correctable: ['advisoryNonFatal'],
      }),
    ],
  };
}
