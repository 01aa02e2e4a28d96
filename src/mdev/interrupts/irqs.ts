import type {
  ConfigSpace,
  Hooks,
  MsiControl,
  MsixControl,
  MsixRegisters,
  RegisterBlock,
  RegisterFile,
} from '../../emulation/index.ts';
import type { DeviceCore } from '../../native/binding.ts';
import type { DeviceInterrupts, EventInterrupt, IntxInterrupt, MessageInterrupts } from './device-interrupts.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { InterruptMessage } from './interrupt-message.ts';
import { type MsiCapability, msiCapabilityOf } from './msi-capability.ts';
import { msixPlacesOf, type MsixPlaces } from './msix-places.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { type IrqInfo, VfioIrq, VfioRegion } from '../vfio/vfio.ts';

/** What a reset of the function concerns. REQ is between the client and who owns the instance. */
const RESET = [VfioIrq.intx, VfioIrq.msi, VfioIrq.msix, VfioIrq.error] as const;

function intxOf(core: DeviceCore, count: number): IntxInterrupt {
  const set = (asserted: boolean): void => {
    if (count === 0) throw new RangeError('INTx; the device has no interrupt pin');
    core.setIntxAsserted(asserted);
  };
  return {
    count,
    get asserted() {
      return core.intxAsserted();
    },
    assert: () => {
      set(true);
    },
    deassert: () => {
      set(false);
    },
  };
}

/** @param granted How many messages the guest gave, a power of two: then higher ones share them. */
function messagesOf(
  core: DeviceCore,
  index: number,
  name: string,
  count: number,
  granted: () => number | undefined = () => undefined,
): MessageInterrupts {
  return {
    count,
    trigger: (vector) => {
      if (!Number.isInteger(vector) || vector < 0 || vector >= count) {
        throw new RangeError(`${name} vector ${vector}; the device has ${count}`);
      }
      const given = granted();
      core.triggerIrq(index, given === undefined ? vector : vector % given);
    },
  };
}

function eventOf(core: DeviceCore, index: number, name: string, count: number): EventInterrupt {
  return {
    count,
    trigger: () => {
      if (count === 0) throw new RangeError(`${name}; the device does not have it`);
      core.triggerIrq(index, 0);
    },
  };
}

type MsixBlock = RegisterBlock<{ readonly MSIX_TABLE: MsixRegisters['MSIX_TABLE'] }>;

/** The interrupts of one instance, with its MSI-X table if the device owns that. */
export class Irqs {
  /** The device's side. */
  readonly device: DeviceInterrupts;
  readonly #core: DeviceCore;
  readonly #msi: MsiCapability | undefined;
  readonly #places: MsixPlaces | undefined;
  readonly #owned: boolean;
  /** Messages that the guest gave the function by MSI; undefined while MSI is not enabled. */
  #messages: number | undefined;

  constructor(
    core: DeviceCore,
    configSpace: ConfigSpace,
    infos: readonly IrqInfo[],
    owner: PlatformCapabilities['msixOwner'],
  ) {
    this.#core = core;
    this.#msi = msiCapabilityOf(configSpace);
    this.#places = msixPlacesOf(configSpace);
    this.#owned = owner === 'device';
    for (const { index, count } of infos) core.setIrqCount(index, count);
    const countOf = (index: number): number => infos[index]?.count ?? 0;
    this.device = {
      intx: intxOf(core, countOf(VfioIrq.intx)),
      msi: messagesOf(core, VfioIrq.msi, 'MSI', countOf(VfioIrq.msi), () => this.#messages),
      msix: messagesOf(core, VfioIrq.msix, 'MSI-X', countOf(VfioIrq.msix)),
      error: eventOf(core, VfioIrq.error, 'ERR', countOf(VfioIrq.error)),
      request: eventOf(core, VfioIrq.request, 'REQ', countOf(VfioIrq.request)),
    };
  }

  /** Keeps what is latched in the pending bits that the guest sees. Call it when the regions are there. */
  bindPending(): void {
    if (this.#places !== undefined) {
      const { region, offset } = this.#places.pending;
      this.#core.bindIrqPending(VfioIrq.msix, region, offset);
    }
    if (this.#msi?.pending !== undefined) {
      this.#core.bindIrqPending(VfioIrq.msi, VfioRegion.config, this.#msi.pending);
    }
    this.reset();
  }

  /** The MSI capability, if there is one. */
  get msi(): MsiCapability | undefined {
    return this.#msi;
  }

  /** Whether the device, and not its client, acts on what the guest programs. */
  get areOwned(): boolean {
    return this.#owned;
  }

  /** The guest changed the MSI control register. */
  controlMsi({ enabled, vectors }: MsiControl): void {
    this.#messages = enabled ? vectors : undefined;
    // As with MSI-X, a client that owns it says by SET_IRQS whether MSI is enabled.
    if (this.#owned) this.#core.setIrqAllMasked(VfioIrq.msi, !enabled);
  }

  /** The guest masks these MSI messages, a bit for each. */
  maskMsi(mask: number): void {
    for (let vector = 0; vector < this.device.msi.count; vector++) {
      this.#core.setIrqMasked(VfioIrq.msi, vector, ((mask >>> vector) & 1) !== 0);
    }
  }

  /** STATUS.interruptStatus. */
  get intxAsserted(): boolean {
    return this.#core.intxAsserted();
  }

  /** COMMAND.interruptDisable and what else keeps INTx back. */
  disableIntx(disabled: boolean): void {
    this.#core.setIntxDisabled(disabled);
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

  /** The function was reset: nothing is asserted or latched, and an own table is all masked. Eventfds stay. */
  reset(): void {
    for (const index of RESET) this.#core.resetIrqs(index);
    this.#messages = undefined;
    if (!this.#owned) return;
    this.#core.setIrqAllMasked(VfioIrq.msi, true);
    this.#core.setIrqAllMasked(VfioIrq.msix, true);
    for (let vector = 0; vector < this.device.msix.count; vector++) {
      this.#core.setIrqMasked(VfioIrq.msix, vector, true);
    }
  }

  /** Raises REQ: the holder is asked to let go. */
  request(): void {
    this.device.request.trigger();
  }

  /**
   * What the guest programmed for a vector.
   * @param registers Finds the registers of a region.
   */
  message(vector: number, registers: (region: number) => object): InterruptMessage {
    const { table } = this.#places ?? {};
    const file = table === undefined ? undefined : (registers(table.region) as RegisterFile<MsixBlock>);
    const entry = file?.MSIX_TABLE[vector];
    if (entry === undefined)
      throw new MdevError('EINVAL', `MSI-X vector ${vector}; the device has ${this.device.msix.count}`);
    return {
      address: (BigInt(entry.ADDRESS_HIGH.value) << 32n) | BigInt(entry.ADDRESS_LOW.value),
      data: entry.DATA.data,
      masked: entry.CONTROL.masked,
    };
  }
}
