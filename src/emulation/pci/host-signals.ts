import type { FunctionRegisters } from './function-registers.ts';
import type { PciHost, PowerState } from './pci-host.ts';

/** A value of config space that the host is told when it changes; flags are 0 and 1. */
interface Signal {
  /** What the host was told last; at first 0, which is what a reset leaves. */
  told: number;
  readonly read: () => number;
  readonly tell: (value: number) => void;
}

/** What the host of a function has been told, and what it is to be told. */
export class HostSignals {
  readonly #signals: readonly Signal[];

  constructor({ command, expansionRom, msi, msiMask, msix, powerManagement }: FunctionRegisters, host: PciHost) {
    const powerState = (): number => powerManagement?.PMCSR.powerState ?? 0;
    const inD0 = (): boolean => powerState() === 0;
    const memoryDecode = (): boolean => command.memorySpace && inD0();
    this.#signals = [
      { told: 0, read: powerState, tell: (state) => host.powerState?.(state as PowerState) },
      flag(memoryDecode, (enabled) => host.memoryDecode?.(enabled)),
      flag(
        () => command.ioSpace && inD0(),
        (enabled) => host.ioDecode?.(enabled),
      ),
      flag(
        () => expansionRom.enable && memoryDecode(),
        (enabled) => host.romDecode?.(enabled),
      ),
      flag(
        () => command.busMaster && inD0(),
        (enabled) => host.busMaster?.(enabled),
      ),
      flag(
        () => command.interruptDisable || msi?.CONTROL.enable === true || msix?.CONTROL.enable === true || !inD0(),
        (disabled) => host.intxDisabled?.(disabled),
      ),
      { told: 0, read: () => msiMask?.vectors ?? 0, tell: (mask) => host.msiMask?.(mask) },
      {
        told: 0,
        read: () => Number(msi?.CONTROL.enable ?? false) | ((msi?.CONTROL.multipleMessageEnable ?? 0) << 1),
        tell: (bits) => host.msiControl?.({ enabled: (bits & 1) !== 0, vectors: 2 ** (bits >> 1) }),
      },
      {
        told: 0,
        read: () => Number(msix?.CONTROL.enable ?? false) | (Number(msix?.CONTROL.functionMask ?? false) << 1),
        tell: (bits) => host.msixControl?.({ enabled: (bits & 1) !== 0, masked: (bits & 2) !== 0 }),
      },
    ];
  }

  /** Tells the host what has changed since it was told last. */
  synchronize(): void {
    for (const signal of this.#signals) {
      // The host may touch config space and so come back here: each value is read only when its turn comes, and noted
      // before the host hears of it.
      const value = signal.read();
      if (value === signal.told) continue;
      signal.told = value;
      signal.tell(value);
    }
  }
}

function flag(read: () => boolean, tell: (value: boolean) => void): Signal {
  return {
    told: 0,
    read: () => Number(read()),
    tell: (value) => {
      tell(value === 1);
    },
  };
}
