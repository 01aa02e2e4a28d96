import { offsetOf } from '../../emulation/index.ts';
import { QueueDevice } from '../../engine/index.ts';
import { type MdevBehaviour, type MdevContext, MdevError, mmio, portal } from '../../mdev/index.ts';
import { CommandProcessor } from './commands.ts';
import type { DsaDescription } from './description.ts';
import { eventLogCode } from './event-log.ts';
import type { EngineAllocation } from './engine-pool.ts';
import { DsaGuestErrors } from './guest-errors.ts';
import { MSIXPERM_STRIDE, portalSize, vectorCount, WQCFG_STRIDE } from './layout.ts';
import { dsaMigration } from './migration.ts';
import { operationBytes } from './operations.ts';
import { NO_PASIDS, type PasidState } from './pasid-state.ts';
import type { pciDeclaration } from './pci.ts';
import { restoreLocks } from './region.ts';
import { type DsaRegisterBlock, dsaRegisters } from './registers.ts';

/** VFIO region indices of the two BARs. */
const CONTROL_REGION = 0;
const PORTAL_REGION = 2;

/** What is behind the BARs of a device: registers and portals. */
export function dsaRegions(device: DsaDescription) {
  return {
    bar0: mmio(dsaRegisters(device), { prefetchable: true }),
    bar2: portal({ size: portalSize(device.queues), prefetchable: true }),
  };
}

type DsaCapabilities = ReturnType<typeof pciDeclaration>['capabilities'];
/** What `create` of a DSA type gets. */
export type DsaContext = MdevContext<unknown, ReturnType<typeof dsaRegions>, EngineAllocation, DsaCapabilities>;
/** What it gives back. */
export type DsaBehaviour = MdevBehaviour<ReturnType<typeof dsaRegions>, DsaCapabilities>;

/** PASIDs as the guest sees them now. The device has the registers of capabilities that its platform hides, too. */
function pasidState({ config, platform }: DsaContext, device: DsaDescription): PasidState {
  const hidden = platform.pasid === 'hidden' || platform.hiddenCapabilities.includes('PASID');
  if (device.pasid !== true || hidden) return NO_PASIDS;
  const { enable, privileged } = config.registers.PASID.CONTROL;
  return { shown: true, enabled: enable, privileged: enable && privileged };
}

/** Byte offsets of the registers that engines change. */
function sharedRegisters(
  block: DsaRegisterBlock,
  device: DsaDescription,
): ConstructorParameters<typeof QueueDevice>[1]['registers'] {
  return {
    softwareError: offsetOf(block, 'SWERROR0'),
    interruptCause: offsetOf(block, 'INTCAUSE'),
    generalControl: offsetOf(block, 'GENCTRL'),
    workQueueStatus: { offset: offsetOf(block, 'WQCFG[0].STATUS'), stride: WQCFG_STRIDE },
    msixPermissions: { offset: offsetOf(block, 'MSIXPERM[0].ENTRY'), stride: MSIXPERM_STRIDE },
    ...(eventLogCode(device) !== 0 && { eventLogStatus: offsetOf(block, 'EVLS[0].STATUS') }),
  };
}

/**
 * Makes the behaviour of one virtual DSA: its queues on the engines that the instance was given, and the commands on
 * them.
 */
export function createDsa(context: DsaContext, device: DsaDescription): DsaBehaviour {
  const { bar0, irqs, resources } = context;
  const vectors = vectorCount(device.queues);
  // What the type declares only the operator takes away.
  if (irqs.msix.count < vectors) {
    const problem = `the platform switch hiddenCapabilities has MSIX, and a DSA needs its ${vectors} vectors`;
    throw new MdevError('EINVAL', `instance ${context.uuid}: ${problem}`);
  }
  const queues = new QueueDevice(context.device, {
    portalRegion: PORTAL_REGION,
    registerRegion: CONTROL_REGION,
    queues: device.queues,
    vectors,
    registers: sharedRegisters(bar0.table.block, device),
    capabilities: {
      ...device.features,
      maxTransferShift: device.maxTransferShift,
      maxBatchShift: device.maxBatchShift,
      operations: operationBytes(device.operations),
    },
  });
  const groups = resources.backing;
  const pasids = (): PasidState => pasidState(context, device);
  const commands = new CommandProcessor({
    device,
    region: bar0,
    queues,
    groups,
    busMaster: () => context.busMaster,
    pasids,
    trigger: (vector) => {
      irqs.msix.trigger(vector);
    },
  });
  const guestErrors = new DsaGuestErrors(bar0, queues);
  restoreLocks(bar0);

  /** Forbidden while the device is not Disabled, as a change of bus master is (DSA specification 5.8.3). */
  const onTranslationControl = (
    next: { readonly enable: boolean; readonly privileged?: boolean },
    previous: { readonly enable: boolean; readonly privileged?: boolean },
  ): void => {
    if (next.enable !== previous.enable || next.privileged !== previous.privileged) commands.halt();
  };
  const translationHooks = { CONTROL: { afterWrite: onTranslationControl } };

  return {
    hooks: {
      ...(device.pasid === true
        ? { config: { ATS: translationHooks, PASID: translationHooks, PRI: translationHooks } }
        : {}),
      bar0: {
        CMD: {
          afterWrite: (command) => commands.execute(command),
        },
        SWERROR0: {
          afterWrite: (next, previous) => {
            guestErrors.afterWrite(next, previous);
          },
        },
        WQCFG: {
          THRESHOLD: {
            afterWrite: ({ threshold }, _previous, { index }) => {
              queues.setThreshold(index, threshold);
            },
          },
          OCCUPANCY_LIMIT: {
            afterWrite: ({ interruptEnable }, _previous, { index }) => {
              const queue = bar0.registers.WQCFG[index];
              if (queue !== undefined) queue.locks.occupancyInterruptEnabled = interruptEnable;
            },
          },
        },
      },
    },
    busMaster: (enabled) => {
      if (!enabled) commands.halt();
    },
    stop: () => {
      queues.reset();
      guestErrors.look();
    },
    quiesce: () => queues.suspend(),
    resume: () => {
      queues.resume();
    },
    migration: dsaMigration({ device, groups, pasids, region: bar0 }, queues, commands),
    guestErrors: () => guestErrors.all(),
    reset: () => {
      restoreLocks(bar0);
      guestErrors.look();
    },
    close: () => {
      queues.close();
    },
  };
}
