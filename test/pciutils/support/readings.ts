/** The value of a field by path, `COMMAND.memorySpace`. */
type ValueOf = (path: string) => number;

/** What pciutils prints about a capability, and which fields it must have got it from. */
export interface Reading {
  /** Name of the capability; the header when absent. */
  readonly capability?: string;
  /** Flags by the name that pciutils has for them, on the lines from the one that begins so to the next with a label. */
  readonly label?: string;
  readonly flags?: Readonly<Record<string, string>>;
  /** Words that must be in the text. */
  readonly words?: (value: ValueOf) => readonly string[];
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

const UNCORRECTABLE = {
  DLP: 'dataLinkProtocol',
  SDES: 'surpriseDown',
  TLP: 'poisonedTlp',
  FCP: 'flowControlProtocol',
  CmpltTO: 'completionTimeout',
  CmpltAbrt: 'completerAbort',
  UnxCmplt: 'unexpectedCompletion',
  RxOF: 'receiverOverflow',
  MalfTLP: 'malformedTlp',
  ECRC: 'ecrc',
  UnsupReq: 'unsupportedRequest',
  ACSViol: 'accessControlViolation',
};
const CORRECTABLE = {
  RxErr: 'receiver',
  BadTLP: 'badTlp',
  BadDLLP: 'badDllp',
  Rollover: 'replayRollover',
  Timeout: 'replayTimeout',
  AdvNonFatalErr: 'advisoryNonFatal',
};
const under = (register: string, names: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(names).map(([name, field]) => [name, `${register}.${field}`]));

/** By capability; those of a capability that a function lacks do not apply. */
export const readings: readonly Reading[] = [
  {
    label: 'Control',
    flags: under('COMMAND', {
      'I/O': 'ioSpace',
      Mem: 'memorySpace',
      BusMaster: 'busMaster',
      SpecCycle: 'specialCycles',
      MemWINV: 'memoryWriteInvalidate',
      VGASnoop: 'vgaPaletteSnoop',
      ParErr: 'parityErrorResponse',
      SERR: 'systemErrorEnable',
      FastB2B: 'fastBackToBack',
      DisINTx: 'interruptDisable',
    }),
  },
  {
    label: 'Status',
    flags: under('STATUS', {
      Cap: 'capabilitiesList',
      '66MHz': 'clock66MHz',
      FastB2B: 'fastBackToBack',
      ParErr: 'masterDataParityError',
      '>TAbort': 'signaledTargetAbort',
      '<TAbort': 'receivedTargetAbort',
      '<MAbort': 'receivedMasterAbort',
      '>SERR': 'signaledSystemError',
      '<PERR': 'detectedParityError',
      INTx: 'interruptStatus',
    }),
    words: (value) => [`DEVSEL=${['fast', 'medium', 'slow', '??'][value('STATUS.deviceSelectTiming')]} `],
  },
  {
    capability: 'PM',
    label: 'Flags',
    flags: under('PM.PMC', { PMEClk: 'pmeClock', DSI: 'deviceSpecificInitialization', D1: 'd1', D2: 'd2' }),
    words: (value) => {
      const pme = ['D0', 'D1', 'D2', 'D3hot', 'D3cold']
        .map((state, bit) => `${state}${(value('PM.PMC.pme') >> bit) & 1 ? '+' : '-'}`)
        .join(',');
      const current = [0, 55, 100, 160, 220, 270, 320, 375][value('PM.PMC.auxiliaryCurrent')];
      return [`AuxCurrent=${current}mA`, `PME(${pme})`];
    },
  },
  {
    capability: 'PM',
    label: 'Status',
    flags: under('PM.PMCSR', { NoSoftRst: 'noSoftReset', 'PME-Enable': 'pmeEnable', PME: 'pmeStatus' }),
    words: (value) => [
      `Status: D${value('PM.PMCSR.powerState')} `,
      `DSel=${value('PM.PMCSR.dataSelect')} DScale=${value('PM.PMCSR.dataScale')} `,
    ],
  },
  {
    capability: 'MSI',
    label: 'Capabilities',
    flags: under('MSI.CONTROL', { Enable: 'enable', Maskable: 'perVectorMasking', '64bit': 'address64' }),
    words: (value) => [
      `Count=${1 << value('MSI.CONTROL.multipleMessageEnable')}/${1 << value('MSI.CONTROL.multipleMessageCapable')} `,
      `Address: ${value('MSI.CONTROL.address64') ? hex(value('MSI.ADDRESS_HIGH.address'), 8) : ''}${hex(value('MSI.ADDRESS_LOW.address') * 4, 8)}  Data: ${hex(value('MSI.DATA.data'), 4)}`,
      ...(value('MSI.CONTROL.perVectorMasking')
        ? [`Masking: ${hex(value('MSI.MASK.vectors'), 8)}  Pending: ${hex(value('MSI.PENDING.vectors'), 8)}`]
        : []),
    ],
  },
  {
    capability: 'MSIX',
    label: 'Capabilities',
    flags: under('MSIX.CONTROL', { Enable: 'enable', Masked: 'functionMask' }),
    words: (value) => [
      `Count=${value('MSIX.CONTROL.tableSize') + 1} `,
      `Vector table: BAR=${value('MSIX.TABLE.bar')} offset=${hex(value('MSIX.TABLE.offset') * 8, 8)}`,
      `PBA: BAR=${value('MSIX.PBA.bar')} offset=${hex(value('MSIX.PBA.offset') * 8, 8)}`,
    ],
  },
  {
    capability: 'PCIE',
    label: 'DevCap',
    flags: under('PCIE.DEVCAP', {
      ExtTag: 'extendedTag',
      RBE: 'roleBasedErrorReporting',
      FLReset: 'functionLevelReset',
    }),
    words: (value) => [
      `MaxPayload ${128 << value('PCIE.DEVCAP.maxPayloadSupported')} bytes, PhantFunc ${(1 << value('PCIE.DEVCAP.phantomFunctions')) - 1}`,
    ],
  },
  {
    capability: 'PCIE',
    label: 'DevCtl',
    flags: under('PCIE.DEVCTL', {
      CorrErr: 'correctableErrorReporting',
      NonFatalErr: 'nonFatalErrorReporting',
      FatalErr: 'fatalErrorReporting',
      UnsupReq: 'unsupportedRequestReporting',
      RlxdOrd: 'relaxedOrdering',
      ExtTag: 'extendedTag',
      PhantFunc: 'phantomFunctions',
      AuxPwr: 'auxiliaryPower',
      NoSnoop: 'noSnoop',
    }),
    words: (value) => [
      `MaxPayload ${128 << value('PCIE.DEVCTL.maxPayload')} bytes, MaxReadReq ${128 << value('PCIE.DEVCTL.maxReadRequest')} bytes`,
    ],
  },
  {
    capability: 'PCIE',
    label: 'DevSta',
    flags: under('PCIE.DEVSTS', {
      CorrErr: 'correctableError',
      NonFatalErr: 'nonFatalError',
      FatalErr: 'fatalError',
      UnsupReq: 'unsupportedRequest',
      AuxPwr: 'auxiliaryPower',
      TransPend: 'transactionsPending',
    }),
  },
  {
    capability: 'PCIE',
    label: 'DevCap2',
    flags: under('PCIE.DEVCAP2', {
      TimeoutDis: 'completionTimeoutDisable',
      NROPrPrP: 'noRelaxedPassing',
      LTR: 'latencyToleranceReporting',
      '10BitTagComp': 'tenBitTagCompleter',
      '10BitTagReq': 'tenBitTagRequester',
      ExtFmt: 'extendedFormat',
      EETLPPrefix: 'endToEndPrefix',
      EmergencyPowerReductionInit: 'emergencyPowerReductionInit',
      FRS: 'functionReadinessStatus',
    }),
  },
  {
    capability: 'PCIE',
    label: 'DevCtl2',
    flags: under('PCIE.DEVCTL2', {
      TimeoutDis: 'completionTimeoutDisable',
      LTR: 'latencyToleranceReporting',
      '10BitTagReq': 'tenBitTagRequester',
    }),
  },
  ...(['STATUS', 'MASK', 'SEVERITY'] as const).map((register, i) => ({
    capability: 'AER',
    label: ['UESta', 'UEMsk', 'UESvrt'][i] ?? '',
    flags: under(`AER.UNCORRECTABLE_${register}`, UNCORRECTABLE),
  })),
  { capability: 'AER', label: 'CESta', flags: under('AER.CORRECTABLE_STATUS', CORRECTABLE) },
  { capability: 'AER', label: 'CEMsk', flags: under('AER.CORRECTABLE_MASK', CORRECTABLE) },
  {
    capability: 'AER',
    label: 'AERCap',
    flags: under('AER.CONTROL', {
      ECRCGenCap: 'ecrcGenerationCapable',
      ECRCGenEn: 'ecrcGenerationEnable',
      ECRCChkCap: 'ecrcCheckCapable',
      ECRCChkEn: 'ecrcCheckEnable',
      MultHdrRecCap: 'multipleHeaderCapable',
      MultHdrRecEn: 'multipleHeaderEnable',
      TLPPfxPres: 'tlpPrefixLogPresent',
    }),
    words: (value) => [
      `First Error Pointer: ${hex(value('AER.CONTROL.firstErrorPointer'), 2)}`,
      `HeaderLog: ${[0, 1, 2, 3].map((i) => hex(value(`AER.HEADER_LOG${i}.data`), 8)).join(' ')}`,
    ],
  },
  {
    capability: 'ATS',
    label: 'ATSCtl',
    flags: { Enable: 'ATS.CONTROL.enable' },
    words: (value) => [
      `Invalidate Queue Depth: ${hex(value('ATS.CAPABILITY.queueDepth'), 2)}`,
      `Smallest Translation Unit: ${hex(value('ATS.CONTROL.smallestTranslationUnit'), 2)}`,
    ],
  },
  {
    capability: 'PASID',
    label: 'PASIDCap',
    flags: under('PASID.CAPABILITY', { Exec: 'execute', Priv: 'privileged' }),
    words: (value) => [`Max PASID Width: ${hex(value('PASID.CAPABILITY.width'), 2)}`],
  },
  {
    capability: 'PASID',
    label: 'PASIDCtl',
    flags: under('PASID.CONTROL', { Enable: 'enable', Exec: 'execute', Priv: 'privileged' }),
  },
  { capability: 'PRI', label: 'PRICtl', flags: { Enable: 'PRI.CONTROL.enable' } },
  {
    capability: 'PRI',
    label: 'PRISta',
    flags: under('PRI.STATUS', { RF: 'responseFailure', UPRGI: 'unexpectedGroupIndex', Stopped: 'stopped' }),
    words: (value) => [
      `Page Request Capacity: ${hex(value('PRI.CAPACITY.requests'), 8)}, Page Request Allocation: ${hex(value('PRI.ALLOCATION.requests'), 8)}`,
    ],
  },
  {
    capability: 'DSN',
    words: (value) => {
      const digits = hex(value('DSN.UPPER.serial'), 8) + hex(value('DSN.LOWER.serial'), 8);
      return [`Device Serial Number ${(digits.match(/../g) ?? []).join('-')}`];
    },
  },
  { capability: 'VENDOR', words: (value) => [`Information: Len=${hex(value('VENDOR.LENGTH.bytes'), 2)} `] },
  {
    capability: 'VSEC',
    words: (value) => [
      `ID=${hex(value('VSEC.VSEC_HEADER.id'), 4)} Rev=${value('VSEC.VSEC_HEADER.revision')} Len=${hex(value('VSEC.VSEC_HEADER.bytes'), 3)} `,
    ],
  },
];
