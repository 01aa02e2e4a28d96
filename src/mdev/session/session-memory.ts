import type { DeviceCore, DmaInfo } from '../../native/binding.ts';
import { DmaLogging, type LoggedSpace } from '../dma/dma-logging.ts';
import { answersFrom, MessageMemory } from '../dma/message-memory.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import { checkRange, completeDmaMap, type DmaMapRequest, type DmaRange } from '../vfio/vfio-requests.ts';
import { check, checkWithFds } from './answers.ts';
import type { SessionInstance } from './session-instance.ts';

/** The guest memory of a session: in the container that it shares, or its own. */
export class SessionMemory {
  /** Which pages of guest memory the device wrote. */
  readonly logging: DmaLogging;
  readonly #instance: SessionInstance;
  /** What answers for memory without a file. */
  readonly #memory = new MessageMemory();
  #answersMessages = false;

  constructor(instance: SessionInstance) {
    this.#instance = instance;
    this.logging = new DmaLogging(
      (request) => this.#logged(request),
      (range) => {
        this.#forget(range);
      },
    );
  }

  map(request: DmaMapRequest): void {
    const container = this.#instance.container('dmaMap');
    if (container !== undefined) {
      container.dmaMap(request);
      return;
    }
    const { file, iova, memory, offset, rights, size } = completeDmaMap(request);
    const core = this.#instance.core('dmaMap');
    const begins = file === undefined && this.#answerMessages(core);
    try {
      checkWithFds('dmaMap', () => core.dmaMap(iova, size, rights, file?.fd ?? -1, offset));
    } catch (error) {
      if (begins) this.#stopAnswering(core);
      throw error;
    }
    if (file === undefined && memory !== undefined) this.#memory.accept({ address: iova, memory, rights });
  }

  unmap(range: DmaRange): void {
    const container = this.#instance.container('dmaUnmap');
    if (container !== undefined) {
      container.dmaUnmap(range);
      return;
    }
    checkRange('dmaUnmap', range);
    check('dmaUnmap', this.#instance.core('dmaUnmap').dmaUnmap(range.iova, range.size));
    this.#forget(range);
  }

  unmapAll(): void {
    const container = this.#instance.container('dmaUnmap');
    if (container !== undefined) {
      container.dmaUnmapAll();
      return;
    }
    this.#instance.core('dmaUnmap').dmaUnmapAll();
    this.#memory.remove(this.#memory.all());
  }

  invalidateVaddr(range: DmaRange): void {
    const container = this.#instance.container('invalidateVaddr');
    if (container !== undefined) {
      container.invalidateVaddr(range);
      return;
    }
    checkRange('invalidateVaddr', range);
    check('invalidateVaddr', this.#instance.core('invalidateVaddr').dmaInvalidateVaddr(range.iova, range.size));
  }

  restoreVaddr(request: DmaMapRequest): void {
    const container = this.#instance.container('restoreVaddr');
    if (container !== undefined) {
      container.restoreVaddr(request);
      return;
    }
    const { file, iova, offset, size } = completeDmaMap(request);
    if (file === undefined) throw VfioError.badArgument('restoreVaddr', 'no file');
    const core = this.#instance.core('restoreVaddr');
    checkWithFds('restoreVaddr', () => core.dmaRestoreVaddr(iova, size, file.fd, offset));
  }

  /** What may be mapped at present. */
  info(): DmaInfo {
    const container = this.#instance.container('dmaInfo');
    if (container !== undefined) return container.info();
    return this.#instance.core('dmaInfo').dmaInfo();
  }

  /** An unmap that reports concerns all devices of a container, which the container logs. */
  #logged(request: string): LoggedSpace {
    const core = this.#instance.core(request);
    return request === 'dmaUnmap' ? (this.#instance.container(request)?.log ?? core) : core;
  }

  #forget({ iova, size }: DmaRange): void {
    this.#memory.remove(this.#memory.inside(iova, size));
  }

  /**
   * From now on the device's requests about memory without a file come here, as long as this holds the instance.
   * @returns false when they did already.
   */
  #answerMessages(core: DeviceCore): boolean {
    if (this.#answersMessages) return false;
    core.setMessageMemory(answersFrom(this.#memory));
    this.#answersMessages = true;
    return true;
  }

  /** There is no such memory: nothing is to keep the event loop alive. */
  #stopAnswering(core: DeviceCore): void {
    core.setMessageMemory(null);
    this.#answersMessages = false;
  }
}
