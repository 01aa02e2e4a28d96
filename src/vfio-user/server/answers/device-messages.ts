import { constants } from 'node:os';

import { dmaLoggingFeatures } from '../../../mdev/dma/dma-logging-features.ts';
import { migrationFeatures } from '../../../mdev/migration/features.ts';
import { isAbsentIrq } from '../../../mdev/vfio/device-info.ts';
import { VFIO_IRQS } from '../../../mdev/vfio/vfio.ts';
import { coreOf } from '../../../native/device-handle.ts';
import type { NativeConnection } from '../../native.ts';
import { Command, DeviceFlag, SCM_MAX_FD } from '../../protocol/constants.ts';
import {
  decodeDeviceInfo,
  decodeIrqInfo,
  DEVICE_INFO_SIZE,
  encodeDeviceInfo,
  encodeIrqInfo,
  IRQ_INFO_SIZE,
} from '../../protocol/structures/index.ts';
import type { ServedDevice } from '../served-device.ts';
import type { ClientLimits } from '../version-negotiation.ts';
import { type Answer, answerDeviceFeature, type Feature } from './device-feature.ts';
import { readMigrationData, writeMigrationData } from './migration-data.ts';
import { answerWithFds } from './refusal.ts';
import { answerRegionInfo, regionCount } from './region-info.ts';
import { RegionIoFdsMessages } from './region-io-fds.ts';

const { EINVAL } = constants.errno;

/** Answers what one client asks of its device, as far as C++ does not. */
export class DeviceMessages {
  readonly #device: ServedDevice;
  readonly #native: NativeConnection;
  readonly #regionIoFds: RegionIoFdsMessages;

  constructor(device: ServedDevice, native: NativeConnection) {
    this.#device = device;
    this.#native = native;
    this.#regionIoFds = new RegionIoFdsMessages(device, native);
  }

  /**
   * Answers a command. What the device throws passes through.
   *
   * @returns undefined when it has answered itself, with file descriptors.
   */
  answer(command: number, body: Uint8Array, limits: ClientLimits): Answer | Promise<Answer> | undefined {
    const { migration } = this.#device;
    const { maxTransfer, padded } = limits;
    const maxFds = Math.min(limits.maxFds, SCM_MAX_FD);
    switch (command) {
      case Command.deviceGetInfo:
        return this.#deviceInfo(body);
      case Command.deviceGetRegionInfo:
        return this.#regionInfo(body, maxFds);
      case Command.deviceGetRegionIoFds:
        return this.#regionIoFds.answer(body, maxFds);
      case Command.deviceGetIrqInfo:
        return this.#irqInfo(body);
      case Command.deviceReset:
        return this.#reset();
      case Command.deviceFeature:
        return answerDeviceFeature(this.#features(), body);
      case Command.migrationDataRead:
        return readMigrationData(migration, body, maxTransfer, padded);
      case Command.migrationDataWrite:
        return writeMigrationData(migration, body, maxTransfer);
      default:
        return EINVAL;
    }
  }

  /** The ioeventfds that the client was given. */
  get regionIoFds(): RegionIoFdsMessages {
    return this.#regionIoFds;
  }

  #deviceInfo(body: Uint8Array): Answer {
    const request = decodeDeviceInfo(body);
    if (request === undefined || request.argsz < DEVICE_INFO_SIZE) return EINVAL;
    return encodeDeviceInfo({
      argsz: DEVICE_INFO_SIZE,
      flags: DeviceFlag.reset | DeviceFlag.pci,
      regions: regionCount(this.#device.regions),
      irqs: VFIO_IRQS,
    });
  }

  #regionInfo(body: Uint8Array, maxFds: number): Answer | undefined {
    const answer = answerRegionInfo(this.#device.regions, body, maxFds);
    if (typeof answer === 'number') return answer;
    if (answer.fds.length === 0) return answer.body;
    return answerWithFds(this.#native, answer.body, answer.fds);
  }

  #irqInfo(body: Uint8Array): Answer {
    const request = decodeIrqInfo(body);
    if (request === undefined || request.argsz < IRQ_INFO_SIZE || request.index >= VFIO_IRQS) return EINVAL;
    const { index } = request;
    const { count = 0, flags = 0 } = this.#device.irqs[index] ?? {};
    if (isAbsentIrq(index, count)) return EINVAL;
    return encodeIrqInfo({ argsz: IRQ_INFO_SIZE, flags, index, count });
  }

  #reset(): Answer {
    const errno = coreOf(this.#device.handle).reset();
    return errno === 0 ? new Uint8Array(0) : errno;
  }

  #features(): ReadonlyMap<number, Feature> {
    const { handle, migration } = this.#device;
    return new Map([
      ...dmaLoggingFeatures(coreOf(handle)),
      ...(migration === undefined ? [] : migrationFeatures(migration, () => this.#native.serveIoEventFds())),
    ]);
  }
}
