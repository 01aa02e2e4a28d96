import {
  type Capability,
  type ConfigSpace,
  type ErrorMessage,
  type PciError,
  PciFunction,
  type PciHost,
} from '../../emulation/index.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { RegisterRegions } from '../regions/register-regions.ts';
import type { SvaRegisters } from '../sva/sva-controls.ts';
import type { DeviceConfigSpace } from '../type/device-config-space.ts';
import { VfioRegion } from '../vfio/vfio.ts';

/** Name of the region of config space, for hooks and the paths of what they throw. */
const CONFIG = 'config';

/** The config space of one function: its registers, and from `bind` on what the guest does with them. */
export class FunctionConfigSpace {
  readonly #space: ConfigSpace;
  readonly #regions: RegisterRegions;
  #pci: PciFunction | undefined;

  /** Adds it to the regions. */
  constructor(space: ConfigSpace, regions: RegisterRegions) {
    this.#space = space;
    this.#regions = regions;
    regions.add(VfioRegion.config, space.block);
  }

  /** Gives it its behaviour: the PCI function's, which acts on `host`, and the vendor's hooks. */
  bind(host: PciHost, hooks: object | undefined): void {
    const pci = new PciFunction(this.#space, host, hooks);
    pci.bind(this.#regions.bind(VfioRegion.config, CONFIG, this.#space.block, pci.hooks));
    this.#pci = pci;
  }

  /** The device's side. */
  device(): DeviceConfigSpace<readonly Capability[]> {
    return {
      registers: this.#regions.get(VfioRegion.config).registers as DeviceConfigSpace<
        readonly Capability[]
      >['registers'],
      recordError: (error) => this.recordError(error),
    };
  }

  /** See {@link DeviceConfigSpace.recordError}. @throws MdevError `EINVAL` before `bind` */
  recordError(error: PciError): ErrorMessage | undefined {
    if (this.#pci === undefined) throw new MdevError('EINVAL', 'recordError: the instance is still being made');
    return this.#pci.recordError(error);
  }

  /** The capabilities that steer PASIDs, from the device's side. */
  get svaRegisters(): SvaRegisters {
    return this.#regions.get(VfioRegion.config).registers;
  }

  /** The address that the guest gave a BAR. */
  barAddress(index: 0 | 1 | 2 | 3 | 4 | 5): bigint | undefined {
    return this.#pci?.barAddress(index);
  }

  reset(kind: 'cold' | 'function'): void {
    this.#pci?.reset(kind);
  }

  /** Tells the host what the registers say, which were restored. */
  synchronize(): void {
    this.#pci?.synchronize();
  }
}
