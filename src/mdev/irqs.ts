import type {
  ConfigSpace,
  Hooks,
  MsixControl,
  MsixRegisters,
  RegisterBlock,
  RegisterFile,
} from '../emulation/index.ts';
import type { DeviceCore } from '../native/binding.ts';
import type { MessageInterrupts } from './context.ts';
import { MdevError } from './mdev-error.ts';
import { msixPlacesOf, type MsixPlaces } from './msix-places.ts';
import type { PlatformCapabilities } from './platform-capabilities.ts';
import { type IrqInfo, VfioIrq } from './vfio.ts';

/** An MSI-X message as the guest programmed it. */
export interface MsixMessage {
  readonly address: bigint;
  readonly data: number;
  readonly masked: boolean;
}

type MsixBlock = RegisterBlock<{ readonly MSIX_TABLE: MsixRegisters['MSIX_TABLE'] }>;

/** The interrupts of one instance, with its MSI-X table if the device owns that. */
export class Irqs {
  readonly msix: MessageInterrupts;
  readonly #core: DeviceCore;
  readonly #places: MsixPlaces | undefined;
  readonly #owned: boolean;

  constructor(
    core: DeviceCore,
    configSpace: ConfigSpace,
    infos: readonly IrqInfo[],
    owner: PlatformCapabilities['msixOwner'],
  ) {
    this.#core = core;
    this.#places = msixPlacesOf(configSpace);
    this.#owned = owner === 'device';
    for (const { index, count } of infos) core.setIrqCount(index, count);
    const count = this.#places?.vectors ?? 0;
    this.msix = {
      count,
      trigger(vector) {
        if (!Number.isInteger(vector) || vector < 0 || vector >= count) {
          throw new RangeError(`MSI-X vector ${vector}; the device has ${count}`);
        }
        core.triggerIrq(VfioIrq.msix, vector);
      },
    };
  }

  /** Keeps what is latched in the pending bits that the guest sees. Call it when the regions are there. */
  bindPending(): void {
    if (this.#places === undefined) return;
    const { region, offset } = this.#places.pending;
    this.#core.bindIrqPending(VfioIrq.msix, region, offset);
    this.reset();
  }

  /** Hooks that a region needs beside the vendor's, or undefined: the entry masks of a table that the device owns. */
  tableHooks(region: number): object | undefined {
    if (!this.#owned || this.#places?.table.region !== region) return undefined;
    const hooks: Hooks<MsixBlock> = {
      MSIX_TABLE: {
        CONTROL: {
          afterWrite: ({ masked }, _previous, { index }) => {
            this.#core.setIrqMasked(VfioIrq.msix, index, masked);
          },
        },
      },
    };
    return hooks;
  }

  /** The guest changed the MSI-X control register. */
  control({ enabled, masked }: MsixControl): void {
    // A client that owns the table says by SET_IRQS whether MSI-X is enabled.
    this.#core.setIrqAllMasked(VfioIrq.msix, masked || (this.#owned && !enabled));
  }

  /** The function was reset: nothing is latched, and an own table is all masked. Eventfds stay. */
  reset(): void {
    this.#core.resetIrqs(VfioIrq.msix);
    if (!this.#owned) return;
    this.#core.setIrqAllMasked(VfioIrq.msix, true);
    for (let vector = 0; vector < this.msix.count; vector++) this.#core.setIrqMasked(VfioIrq.msix, vector, true);
  }

  /** Raises REQ: the holder is asked to let go. */
  request(): void {
    this.#core.triggerIrq(VfioIrq.request, 0);
  }

  /**
   * What the guest programmed for a vector.
   * @param registers Finds the registers of a region.
   */
  message(vector: number, registers: (region: number) => object): MsixMessage {
    const { table } = this.#places ?? {};
    const file = table === undefined ? undefined : (registers(table.region) as RegisterFile<MsixBlock>);
    const entry = file?.MSIX_TABLE[vector];
    if (entry === undefined) throw new MdevError('EINVAL', `MSI-X vector ${vector}; the device has ${this.msix.count}`);
    return {
      address: (BigInt(entry.ADDRESS_HIGH.value) << 32n) | BigInt(entry.ADDRESS_LOW.value),
      data: entry.DATA.data,
      masked: entry.CONTROL.masked,
    };
  }
}
