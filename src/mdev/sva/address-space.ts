import { constants } from 'node:os';

import { createDeviceCore, type DeviceCore, type DmaInfo } from '../../native/binding.ts';
import { errnoOfError } from '../../native/errno.ts';
import { applyDmaLimits, defaultDmaLimits, type DmaLimits } from '../dma/dma-limits.ts';
import { DmaLogging } from '../dma/dma-logging.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import { checkRange, completeDmaMap, type DmaRange } from '../vfio/vfio-requests.ts';

const { EIO, ENODEV } = constants.errno;

/** What an address space is to be. */
export interface AddressSpaceOptions {
  /** For messages: "process 4711 of vm 7". */
  readonly name: string;
  /** What may be mapped. As the kernel's type1 container when absent: 65,535 maps. */
  readonly limits?: Partial<DmaLimits>;
}

/** Memory for an {@link AddressSpace}. There is a file behind it: no message carries a PASID. */
export interface AddressSpaceMap extends DmaRange {
  /** The file (a `MemoryFile`, say); its descriptor is duplicated. */
  readonly file: { readonly fd: number };
  /** Where the range begins in the file, bytes; 0 when absent. */
  readonly offset?: bigint;
  /** What devices may do: "r", "w" or "rw" (when absent). */
  readonly access?: 'r' | 'w' | 'rw';
}

/** What may be mapped at present, and who uses it. */
export interface AddressSpaceInfo extends DmaInfo {
  /** What it is attached to: "PASID 5 of instance 5f1c… (dsa0, dsa-cfg-v1)". */
  readonly pasids: readonly string[];
}

/** A PASID that an address space is behind. @internal */
export interface AddressSpaceUser {
  /** "PASID 5 of instance 5f1c… (dsa0, dsa-cfg-v1)". */
  readonly who: string;
  /** What was mapped in the range is gone. */
  invalidated(range: DmaRange | undefined): void;
}

/**
 * The memory of a process, say, as devices see it by PASID. What a VMM maps here every instance reaches that it has attached a PASID of to it
 * (`DeviceSession.sva`), by the rules of a device's own guest memory: engines look it up without a lock, and an unmap returns when no engine uses the
 * memory any more, and no device keeps a translation of it. It may be behind several PASIDs, of several instances of this thread.
 *
 * It belongs to whoever made it, and stays when they are detached.
 */
export class AddressSpace implements Disposable {
  readonly name: string;
  /** Which pages devices wrote here. What they write by PASID is in no log of their own guest memory. */
  readonly dmaLogging: DmaLogging;
  /** Has its maps, and nothing else. */
  readonly #space: DeviceCore;
  readonly #users = new Set<AddressSpaceUser>();
  #closed = false;

  /** @throws {@link MdevError} `EINVAL` when the limits are malformed. */
  constructor({ name, limits }: AddressSpaceOptions) {
    this.name = name;
    this.#space = createDeviceCore();
    // Whether a device may reach memory is said for each device, where its PASIDs are.
    this.#space.setEnforceBusMaster(false);
    this.#space.setAskUnmapped(false);
    try {
      applyDmaLimits(this.#space, { ...defaultDmaLimits, ...limits });
    } catch (error) {
      this.#space.close();
      throw error;
    }
    this.dmaLogging = new DmaLogging(
      (request) => this.#open(request),
      (range) => {
        this.#tell(range);
      },
    );
  }

  /** What may still be mapped, and what it is attached to. @throws {@link VfioError} `ENODEV` when it is closed. */
  info(): AddressSpaceInfo {
    return { ...this.#open('dmaInfo').dmaInfo(), pasids: [...this.#users].map(({ who }) => who) };
  }

  /**
   * Maps memory for every device. An identical repeat succeeds.
   * @throws {@link VfioError} as `VfioDevice.dmaMap`; `ENODEV`: it is closed.
   */
  dmaMap(request: AddressSpaceMap): void {
    const { file, iova, offset, rights, size } = completeDmaMap(request);
    const space = this.#open('dmaMap');
    if (file === undefined) throw VfioError.badArgument('dmaMap', `${this.#who} needs a file behind what is mapped`);
    check(
      'dmaMap',
      orErrno(() => space.dmaMap(iova, size, rights, file.fd, offset)),
    );
  }

  /**
   * Takes memory away. When it returns no engine uses it, and every device was told (`MdevBehaviour.sva.invalidated`).
   * @throws {@link VfioError} as `VfioDevice.dmaUnmap`; `ENODEV`: it is closed.
   */
  dmaUnmap(range: DmaRange): void {
    checkRange('dmaUnmap', range);
    check('dmaUnmap', this.#open('dmaUnmap').dmaUnmap(range.iova, range.size));
    this.#tell(range);
  }

  /** Takes all memory away. @throws {@link VfioError} `ENODEV`: it is closed. */
  dmaUnmapAll(): void {
    this.#open('dmaUnmap').dmaUnmapAll();
    this.#tell(undefined);
  }

  /** Ends it, with its maps. Idempotent. @throws {@link MdevError} `EBUSY` while a PASID is attached to it, which it names. */
  close(): void {
    const [user] = this.#users;
    if (user !== undefined) throw new MdevError('EBUSY', `${this.#who} is attached to ${user.who}`);
    this.#closed = true;
    this.#space.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** A PASID is to be attached to it. @internal @throws {@link MdevError} `ENODEV` when it is closed. */
  join(user: AddressSpaceUser): DeviceCore {
    if (this.#closed) throw new MdevError('ENODEV', `${this.#who} is closed`);
    this.#users.add(user);
    return this.#space;
  }

  /** Idempotent. @internal */
  leave(user: AddressSpaceUser): void {
    this.#users.delete(user);
  }

  get #who(): string {
    return `address space ${this.name}`;
  }

  #open(request: string): DeviceCore {
    if (this.#closed) throw new VfioError(ENODEV, `${request}: ${this.#who} is closed`, request);
    return this.#space;
  }

  #tell(range: DmaRange | undefined): void {
    for (const user of [...this.#users]) user.invalidated(range);
  }
}

function check(request: string, errno: number): void {
  if (errno !== 0) throw VfioError.refused(request, errno);
}

/** What a call returns, or the errno of a descriptor that cannot be duplicated. */
function orErrno(call: () => number): number {
  try {
    return call();
  } catch (error) {
    return errnoOfError(error, EIO);
  }
}
