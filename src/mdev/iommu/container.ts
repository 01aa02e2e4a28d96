import { constants } from 'node:os';

import { createDeviceCore, type DeviceCore, type DmaInfo } from '../../native/binding.ts';
import { errnoName } from '../../native/errno.ts';
import { DmaLogging } from '../dma/dma-logging.ts';
import { applyDmaLimits, defaultDmaLimits, type DmaLimits } from '../dma/dma-limits.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { answersFrom, MessageMemory } from '../dma/message-memory.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import { checkRange, completeDmaMap, type DmaMapRequest, type DmaRange } from '../vfio/vfio-requests.ts';
import { ContainerDirtyLog } from './container-dirty-log.ts';
import type { ContainerMember } from './container-member.ts';
import { intersectDmaInfo } from './intersect-dma-info.ts';
import { type IommuModel, modelFor, nameOf, sameModel } from './iommu-model.ts';
import { SharedMaps } from './shared-maps.ts';

const { ENODEV } = constants.errno;

/** What a container is to be. */
export interface ContainerOptions {
  /** For messages: "vm7". */
  readonly name: string;
  readonly model: IommuModel;
  /** What may be mapped, whatever the devices would take. As in the kernel's type1 container when absent: 65,535 maps. */
  readonly limits?: Partial<DmaLimits>;
}

/** What may be mapped into a container at present, by all of its devices. */
export interface ContainerInfo extends DmaInfo {
  readonly model: IommuModel;
  /** Who is attached: "instance 5f1c… (dsa0, dsa-cfg-v1)". */
  readonly devices: readonly string[];
}

/**
 * An address space for devices of this process: what is mapped into it is mapped into every device that is attached
 * (`MdevDevice.open`), or into none. A device that is attached later gets what is mapped already; one that is detached has
 * nothing any more, and the maps stay until they are unmapped or the container is closed.
 *
 * What takes memory away waits on this thread until engines have left it, each at the end of its chunk. That takes as long as the pages of that memory take to
 * come; {@link DeviceSession.dmaUnmap} and its like do not keep the thread.
 *
 * It belongs to whoever made it. A vfio-user connection has an address space of its own, which nobody shares.
 */
export class Container implements Disposable {
  readonly name: string;
  readonly model: IommuModel;
  /**
   * Which pages any of its devices wrote, also one that has left or come since the start. `EINVAL` also when a device logs for its own client already. While a
   * container logs, its devices' clients should not: what is lost when one of them ends the log of its device counts as dirty.
   */
  readonly dmaLogging: DmaLogging;
  /** @internal What `dmaLogging` asks. */
  readonly log: ContainerDirtyLog;
  /** Has the maps and the limits of the container itself. */
  readonly #space: DeviceCore;
  readonly #members = new Set<ContainerMember>();
  readonly #maps: SharedMaps;
  /** Memory without a file. */
  readonly #memory = new MessageMemory();
  /** There was such memory: devices ask for it. */
  #answersMessages = false;
  #closed = false;

  /** @throws {@link MdevError} `EINVAL` when the limits are malformed. */
  constructor({ name, model, limits }: ContainerOptions) {
    this.name = name;
    this.model = model;
    this.#space = createDeviceCore();
    try {
      applyDmaLimits(this.#space, { ...defaultDmaLimits, ...limits });
    } catch (error) {
      this.#space.close();
      throw error;
    }
    this.#maps = new SharedMaps(this.#space, this.#members, this.#who, (member, errno) => {
      this.#afterUnmap(member, errno);
    });
    this.log = new ContainerDirtyLog(this.#space, this.#members, (member, errno) => {
      this.#afterUnmap(member, errno);
    });
    this.dmaLogging = new DmaLogging(
      (request) => {
        this.#open(request);
        return this.log;
      },
      (range) => {
        this.#forget(range);
      },
    );
  }

  /** The devices that are attached. @internal */
  get cores(): readonly DeviceCore[] {
    return [...this.#members].map(({ core }) => core);
  }

  /** VFIO_IOMMU_GET_INFO: what the container and all of its devices take. @throws {@link VfioError} `ENODEV` when it is closed. */
  info(): ContainerInfo {
    const space = this.#open('dmaInfo');
    const members = [...this.#members];
    return {
      ...intersectDmaInfo(space.dmaInfo(), ...members.map(({ core }) => core.dmaInfo())),
      model: this.model,
      devices: members.map(({ who }) => who),
    };
  }

  /**
   * Maps memory into every device, or into none. An identical repeat succeeds.
   * @throws {@link VfioError} as `VfioDevice.dmaMap`: `EINVAL` also for what is outside of a device's windows or pages, `ENOSPC`
   * beyond the limit of the container or of a device, which the message names; `ENODEV`: the container is closed.
   */
  dmaMap(request: DmaMapRequest): void {
    const { file, iova, memory, offset, rights, size } = completeDmaMap(request);
    this.#open('dmaMap');
    const begins = file === undefined && this.#answerMessages();
    try {
      this.#maps.map({ iova, size, rights, fd: file?.fd ?? -1, offset, valid: true });
    } catch (error) {
      if (begins) this.#stopAnswering();
      throw error;
    }
    if (file === undefined && memory !== undefined) this.#memory.accept({ address: iova, memory, rights });
  }

  /** Takes memory away from every device. @throws {@link VfioError} as `VfioDevice.dmaUnmap`; `ENODEV`: the container is closed. */
  dmaUnmap(range: DmaRange): void {
    checkRange('dmaUnmap', range);
    this.#open('dmaUnmap');
    this.#maps.unmap(range);
    this.log.unmapped(range);
    this.#forget(range);
  }

  /**
   * VFIO_DMA_UNMAP_FLAG_VADDR: takes the memory behind the maps in the range away from every device, and keeps the maps: for a VMM that is about to
   * bring the same memory as another file. What a device accesses there meanwhile faults; a VMM that does not want that quiesces it before.
   * @throws {@link VfioError} `EINVAL` when the range cuts a map, or one is not valid already; `ENOENT` when it holds none; `ENODEV`: the container
   * is closed.
   */
  invalidateVaddr(range: DmaRange): void {
    checkRange('invalidateVaddr', range);
    this.#open('invalidateVaddr');
    this.#maps.invalidateVaddr(range);
  }

  /**
   * VFIO_DMA_MAP_FLAG_VADDR: puts memory behind one map that {@link invalidateVaddr} has left, in every device or in none. The map keeps its access;
   * `access` is not looked at.
   * @throws {@link VfioError} `ENOENT` when nothing is mapped at `iova`; `EINVAL` when the map there is another one, or valid; `EACCES` when it may
   * be written and the file may not; otherwise as {@link dmaMap}. The map stays as it is.
   */
  restoreVaddr(request: DmaMapRequest): void {
    const { file, iova, offset, size } = completeDmaMap(request);
    if (file === undefined) throw VfioError.badArgument('restoreVaddr', 'no file');
    this.#open('restoreVaddr');
    this.#maps.restoreVaddr({ fd: file.fd, iova, offset, size });
  }

  /** Takes all memory away from every device. @throws {@link VfioError} `ENODEV`: the container is closed. */
  dmaUnmapAll(): void {
    this.#open('dmaUnmap');
    this.#maps.unmapAll();
    this.log.unmapped();
    this.#memory.remove(this.#memory.all());
  }

  /** Ends it, with its maps. Idempotent. @throws {@link MdevError} `EBUSY` while devices are attached, which it names. */
  close(): void {
    const [member] = this.#members;
    if (member !== undefined) throw new MdevError('EBUSY', `${this.#who} is in use by ${member.who}`);
    this.#closed = true;
    this.#space.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Attaches a device that has no maps, and gives it those of the container.
   * @internal
   * @param bridge The guest's bridge whose virtual IOMMU the device is behind, if it is.
   * @throws {@link MdevError} `EINVAL` when the models do not match, or for a map that the device cannot have; `EBUSY` while one is not valid; `ENODEV` when
   * the container is closed. The device has no maps then.
   */
  add(member: ContainerMember, bridge: string | undefined): void {
    if (this.#closed) throw new MdevError('ENODEV', `${this.#who} is closed`);
    const needed = modelFor(bridge);
    if (!sameModel(this.model, needed)) {
      throw new MdevError(
        'EINVAL',
        `${this.#who} is ${nameOf(this.model)}, and ${member.who} is to be ${nameOf(needed)}`,
      );
    }
    this.#maps.giveTo(member);
    const errno = this.log.add(member);
    if (errno !== 0) {
      member.core.dmaUnmapAll();
      const problem = `${this.#who} logs dirty pages, which ${member.who} refuses with ${errnoName(errno)}`;
      throw new MdevError('EINVAL', problem);
    }
    if (this.#answersMessages) member.core.setMessageMemory(answersFrom(this.#memory));
    this.#members.add(member);
  }

  /** Detaches a device, whose maps its own core takes away. Idempotent. @internal */
  remove(member: ContainerMember): void {
    if (this.#members.has(member)) this.log.remove(member);
    this.#members.delete(member);
  }

  get #who(): string {
    return `container ${this.name}`;
  }

  #open(request: string): DeviceCore {
    if (this.#closed) throw new VfioError(ENODEV, `${request}: ${this.#who} is closed`, request);
    return this.#space;
  }

  #forget({ iova, size }: DmaRange): void {
    this.#memory.remove(this.#memory.inside(iova, size));
  }

  /**
   * From now on what devices ask for about memory without a file comes here, as long as they are attached.
   * @returns false when it did already.
   */
  #answerMessages(): boolean {
    if (this.#answersMessages) return false;
    this.#answersMessages = true;
    for (const { core } of this.#members) core.setMessageMemory(answersFrom(this.#memory));
    return true;
  }

  /** There is no such memory: nothing is to keep the event loop alive. */
  #stopAnswering(): void {
    this.#answersMessages = false;
    for (const { core } of this.#members) core.setMessageMemory(null);
  }

  /** Memory that was taken away is out of reach of every device, whatever happens: one that cannot let go of it fails. */
  #afterUnmap(member: ContainerMember, errno: number): void {
    if (errno === 0) return;
    this.remove(member);
    member.core.dmaUnmapAll();
    member.fail(new Error(`${this.#who} could not take memory away from it: ${errnoName(errno)}`));
  }
}
