import { array, lockedBy, msixRegisters, reg32, reg64, registerBlock, ro, rw, w1c, wo } from '../../emulation/index.ts';
import { capabilityValues } from './capabilities.ts';
import type { DsaDescription } from './description.ts';
import { eventLogCode } from './event-log.ts';
import {
  CONTROL_SIZE,
  EVENT_LOG_OFFSET,
  EVENT_LOG_STRIDE,
  GRPCFG_OFFSET,
  GRPCFG_STRIDE,
  msixPlaces,
  MSIXPERM_OFFSET,
  MSIXPERM_STRIDE,
  vectorCount,
  WQCFG_OFFSET,
  WQCFG_STRIDE,
} from './layout.ts';
import { DeviceState, QueueMode, QueueState, READ_BUFFERS, ResetType } from './values.ts';

/** Of what is writable while its queue is disabled. */
const WHILE_QUEUE_DISABLED = ['queueEnabled', 'fixed', 'resetActive'] as const;

/**
 * BAR0 of one virtual DSA (DSA specification 9.2). Register names as printed there.
 *
 * Locks: `fixed` is held for ever where GENCAP.configurable is 0, `deviceEnabled` while the device is not Disabled,
 * `resetActive` while Reset Device waits for what is in flight (its configuration has power-on values already), and per
 * queue `queueEnabled` while the queue is not disabled and `occupancyInterruptEnabled` while that bit is set. What
 * engines change is shared.
 *
 * @throws `DeclarationError` for more queues, groups or engines than their tables in BAR0 have room for.
 */
export function dsaRegisters(device: DsaDescription) {
  const capability = capabilityValues(device);
  const fixed = !device.configurable;
  const readBuffersAllowed = BigInt(READ_BUFFERS) << 20n;
  return registerBlock(CONTROL_SIZE, {
    VERSION: reg32(0x00, { minor: ro(7, 0), major: ro(15, 8) }, { reset: capability.version, constant: true }),
    GENCAP: reg64(
      0x10,
      {
        blockOnFault: ro(0),
        overlappingMove: ro(1),
        cacheWriteHint: ro(2),
        commandCapabilities: ro(4),
        translationStride: ro(7),
        destinationReadback: ro(8),
        drainReadback: ro(9),
        fillPattern16: ro(10),
        crc64: ro(11),
        faultInfo: ro(12),
        eventLogEntrySize: ro(14, 13),
        batchContinuation: ro(15),
        maxTransferShift: ro(20, 16),
        maxBatchShift: ro(24, 21),
        imsEntries: ro(30, 25),
        configurable: ro(31),
        eventLogOverflow: ro(32),
        batchOfOne: ro(52),
      },
      { reset: capability.general, constant: true },
    ),
    WQCAP: reg64(
      0x20,
      {
        totalSize: ro(15, 0),
        queues: ro(23, 16),
        configSize: ro(27, 24),
        sharedMode: ro(48),
        dedicatedMode: ro(49),
        atsDisable: ro(50),
        priority: ro(51),
        occupancy: ro(52),
        occupancyInterrupt: ro(53),
        operations: ro(54),
        prsDisable: ro(55),
      },
      { reset: capability.queues, constant: true },
    ),
    GRPCAP: reg64(
      0x30,
      { groups: ro(7, 0), readBuffers: ro(15, 8), readBufferControls: ro(16), globalReadBufferLimit: ro(17) },
      { reset: capability.groups, constant: true },
    ),
    ENGCAP: reg64(0x38, { engines: ro(7, 0) }, { reset: capability.engines, constant: true }),
    // Not constant: a device that comes from a release with fewer operations shows those until it is reset.
    OPCAP0: reg64(0x40, { operations: ro(63, 0) }, { reset: device.operations[0] }),
    OPCAP1: reg64(0x48, { operations: ro(63, 0) }, { reset: device.operations[1] }),
    OPCAP2: reg64(0x50, { operations: ro(63, 0) }, { reset: device.operations[2] }),
    OPCAP3: reg64(0x58, { operations: ro(63, 0) }, { reset: device.operations[3] }),
    OFFSETS0: reg64(
      0x60,
      { groups: ro(15, 0), queues: ro(31, 16), msixPermissions: ro(47, 32), ims: ro(63, 48) },
      { reset: capability.offsets[0], constant: true },
    ),
    OFFSETS1: reg64(
      0x68,
      { performanceMonitor: ro(15, 0), interDomainPermissions: ro(31, 16) },
      { reset: capability.offsets[1], constant: true },
    ),
    GENCFG: reg32(
      0x80,
      { readBufferLimit: rw(7, 0), userInterruptEnable: rw(12), eventLogEnable: rw(13) },
      { reset: READ_BUFFERS, lockedBy: ['deviceEnabled', 'fixed'] },
    ),
    GENCTRL: reg32(
      0x88,
      { softwareErrorInterruptEnable: rw(0), haltInterruptEnable: rw(1), eventLogInterruptEnable: rw(2) },
      { shared: true, lockedBy: 'resetActive' },
    ),
    // A software reset passes through draining: the command's completion sets the state.
    GENSTS: reg32(
      0x90,
      { state: ro(1, 0, DeviceState), resetType: ro(3, 2, ResetType) },
      { shared: true, survives: ['software'] },
    ),
    INTCAUSE: reg32(
      0x98,
      {
        softwareError: w1c(0),
        command: w1c(1),
        occupancy: w1c(2),
        performanceMonitor: w1c(3),
        halt: w1c(4),
        eventLog: w1c(5),
        handlesRevoked: w1c(31),
      },
      { shared: true },
    ),
    CMD: reg32(
      0xa0,
      { operand: wo(19, 0), code: wo(24, 20), reserved: wo(30, 25), requestInterrupt: wo(31) },
      { commit: 'last', survives: ['software'] },
    ),
    CMDSTATUS: reg32(
      0xa8,
      { error: ro(7, 0), result: ro(23, 8), active: ro(31) },
      { shared: true, survives: ['software'] },
    ),
    CMDCAP: reg64(0xb0, { commands: ro(31, 0) }, { reset: capability.commands, constant: true }),
    SWERROR0: reg64(
      0xc0,
      {
        valid: w1c(0),
        overflow: w1c(1),
        descriptorValid: ro(2),
        queueIndexValid: ro(3),
        inBatch: ro(4),
        faultingWrite: ro(5),
        privileged: ro(6),
        informationValid: ro(7),
        error: ro(15, 8),
        queueIndex: ro(23, 16),
        operation: ro(39, 32),
        pasid: ro(59, 40),
      },
      { shared: true, survives: ['software'] },
    ),
    SWERROR1: reg64(0xc8, { batchIndex: ro(15, 0), information: ro(63, 32) }, { shared: true, survives: ['software'] }),
    SWERROR2: reg64(0xd0, { faultAddress: ro(63, 0) }, { shared: true, survives: ['software'] }),
    SWERROR3: reg64(0xd8, {}, { shared: true, survives: ['software'] }),
    // EVLCFG and EVLSTATUS, in a device that has them: others keep the layout of releases without.
    EVLS: array(EVENT_LOG_OFFSET, EVENT_LOG_STRIDE, eventLogCode(device) === 0 ? 0 : 1, {
      BASE: reg64(0x00, { pasidEnable: rw(0), privileged: rw(1), page: rw(63, 12) }, { lockedBy: 'deviceEnabled' }),
      SIZE: reg64(0x08, { entries: rw(15, 0), pasid: rw(35, 16) }, { lockedBy: 'deviceEnabled' }),
      STATUS: reg64(
        0x10,
        { head: rw(15, 0), tail: ro(47, 32), interruptPending: w1c(62) },
        { shared: true, survives: ['software'] },
      ),
    }),
    MSIXPERM: array(MSIXPERM_OFFSET, MSIXPERM_STRIDE, vectorCount(device.queues), {
      ENTRY: reg32(
        0x00,
        { ignore: rw(2), pasidEnable: rw(3), pasid: rw(31, 12) },
        { shared: true, lockedBy: 'resetActive' },
      ),
    }),
    GRPCFG: array(GRPCFG_OFFSET, GRPCFG_STRIDE, device.groups, {
      WQS0: reg64(0x00, { queues: rw(63, 0) }, { reset: fixed ? 1n : 0n, lockedBy: ['deviceEnabled', 'fixed'] }),
      WQS1: reg64(0x08, { queues: rw(63, 0) }, { lockedBy: ['deviceEnabled', 'fixed'] }),
      WQS2: reg64(0x10, { queues: rw(63, 0) }, { lockedBy: ['deviceEnabled', 'fixed'] }),
      WQS3: reg64(0x18, { queues: rw(63, 0) }, { lockedBy: ['deviceEnabled', 'fixed'] }),
      ENGINES: reg64(0x20, { engines: rw(63, 0) }, { reset: fixed ? 1n : 0n, lockedBy: ['deviceEnabled', 'fixed'] }),
      FLAGS: reg64(
        0x28,
        {
          trafficClassA: rw(2, 0),
          trafficClassB: rw(5, 3),
          useGlobalReadBufferLimit: rw(7),
          readBuffersReserved: rw(15, 8),
          readBuffersAllowed: rw(27, 20),
        },
        { reset: readBuffersAllowed, lockedBy: ['deviceEnabled', 'fixed'] },
      ),
    }),
    WQCFG: array(
      WQCFG_OFFSET,
      WQCFG_STRIDE,
      device.queues,
      {
        // Reset Queue keeps the size, Reset Device does not.
        SIZE: reg32(
          0x00,
          { size: rw(15, 0) },
          { reset: fixed ? device.entries : 0, lockedBy: ['deviceEnabled', 'fixed'] },
        ),
        THRESHOLD: reg32(0x04, { threshold: rw(15, 0) }, { lockedBy: ['fixed', 'resetActive'] }),
        MODE: reg32(
          0x08,
          {
            mode: rw(0, 0, QueueMode),
            blockOnFaultEnable: rw(1),
            atsDisable: rw(2),
            prsDisable: rw(3),
            priority: rw(7, 4),
            pasid: rw(27, 8),
            pasidEnable: rw(28),
            privileged: rw(29),
          },
          { reset: fixed ? QueueMode.dedicated | (device.priority << 4) : 0, lockedBy: WHILE_QUEUE_DISABLED },
        ),
        LIMITS: reg32(
          0x0c,
          { maxTransferShift: rw(4, 0), maxBatchShift: rw(8, 5) },
          {
            reset: fixed ? device.maxTransferShift | (device.maxBatchShift << 5) : 0,
            lockedBy: WHILE_QUEUE_DISABLED,
          },
        ),
        OCCUPANCY_INTERRUPT: reg32(
          0x10,
          { handle: rw(15, 0), interruptTable: rw(16) },
          { lockedBy: WHILE_QUEUE_DISABLED },
        ),
        OCCUPANCY_LIMIT: reg32(
          0x14,
          { limit: lockedBy('occupancyInterruptEnabled', rw(15, 0)), interruptEnable: rw(16) },
          { lockedBy: ['fixed', 'resetActive'] },
        ),
        // Engines count the occupancy, and what ends a queue sets its state: no software reset touches either.
        STATUS: reg32(
          0x18,
          {
            occupancy: ro(15, 0),
            occupancyInterruptGenerated: w1c(16),
            modeSupport: ro(29),
            state: ro(31, 30, QueueState),
          },
          { shared: true, survives: ['software'] },
        ),
        OPERATIONS0: reg64(
          0x20,
          { operations: rw(63, 0) },
          { reset: device.operations[0], lockedBy: WHILE_QUEUE_DISABLED },
        ),
        OPERATIONS1: reg64(
          0x28,
          { operations: rw(63, 0) },
          { reset: device.operations[1], lockedBy: WHILE_QUEUE_DISABLED },
        ),
        OPERATIONS2: reg64(
          0x30,
          { operations: rw(63, 0) },
          { reset: device.operations[2], lockedBy: WHILE_QUEUE_DISABLED },
        ),
        OPERATIONS3: reg64(
          0x38,
          { operations: rw(63, 0) },
          { reset: device.operations[3], lockedBy: WHILE_QUEUE_DISABLED },
        ),
      },
      { locks: ['queueEnabled', 'occupancyInterruptEnabled'] },
    ),
    ...msixRegisters(msixPlaces(device.queues)),
  });
}

/** The declaration of one device's BAR0. */
export type DsaRegisterBlock = ReturnType<typeof dsaRegisters>;
