import {
  type ConfigSpace,
  DeclarationError,
  type MsixControl,
  PciFunction,
  type RegisterRegion,
  type ResetKind,
} from '../emulation/index.ts';
import { createDeviceCore, type DeviceCore, type DeviceStatistics } from '../native/binding.ts';
import { type DeviceHandle, deviceHandle } from '../native/device-handle.ts';
import type { MdevBehaviour } from './behaviour.ts';
import { irqInfos, regionInfos } from './device-info.ts';
import type { GuestError } from './guest-errors.ts';
import { HookFailure } from './hook-guard.ts';
import { Irqs } from './irqs.ts';
import type { DeviceDeclaration } from './device-declaration.ts';
import { applyDmaLimits } from './dma-limits.ts';
import type { PlatformCapabilities } from './platform-capabilities.ts';
import { READ_WRITE, RegisterRegions } from './register-regions.ts';
import { type BarName, barsOf, type Regions } from './regions.ts';
import { type IrqInfo, type RegionInfo, VfioRegion } from './vfio.ts';

/** What a function tells the instance that it belongs to. */
export interface MdevFunctionHost {
  /** A hook, or the behaviour called by one, threw. */
  failed(path: string, error: unknown): void;
  /** The guest, or a client's DEVICE_RESET, reset the function. */
  wasReset(kind: ResetKind, cause: ResetCause): void;
  /** DEVICE_RESET by a client. Returns 0 or an errno. */
  resetByClient(): number;
}

/** Who asked for a reset: the guest by PCI Express FLR, the client by DEVICE_RESET, or who owns the instance. */
export type ResetCause = 'flr' | 'client' | 'owner';

/**
 * The PCI function of one instance: native core, register regions, config space and interrupts, and the behaviour that
 * reacts to them. It knows neither names nor life cycle.
 */
export class MdevFunction {
  readonly core: DeviceCore;
  /** `core` for those that hand it on. */
  readonly handle: DeviceHandle;
  readonly configSpace: ConfigSpace;
  readonly regions: readonly RegionInfo[];
  readonly irqInfos: readonly IrqInfo[];
  readonly irqs: Irqs;
  readonly bars: Regions;
  readonly registers: RegisterRegions;
  readonly #platform: PlatformCapabilities;
  readonly #host: MdevFunctionHost;
  #behaviour: MdevBehaviour = {};
  #pci: PciFunction | undefined;
  /** COMMAND.busMaster and D0, as the guest set them. */
  #busMaster = false;
  /** What the access in progress changed, to be told when it is over: a reset in the same access makes it void. */
  #msixControl: MsixControl | undefined;
  /** `#busMaster` as the behaviour knows it. */
  #toldBusMaster = false;
  #isolated = false;
  /** Refused writes whose place was told, by region and kind. */
  readonly #placed = new Map<string, number>();

  constructor(declaration: DeviceDeclaration, platform: PlatformCapabilities, host: MdevFunctionHost) {
    this.configSpace = declaration.configSpace;
    this.bars = declaration.regions;
    this.#platform = platform;
    this.#host = host;
    this.regions = regionInfos(declaration.regions, declaration.configSpace);
    this.irqInfos = irqInfos(declaration.configSpace);
    this.core = createDeviceCore();
    this.handle = deviceHandle(this.core);
    try {
      this.registers = new RegisterRegions(this.core);
      for (const { index, region } of barsOf(declaration.regions)) {
        if (region.kind === 'mmio') this.registers.add(index, region.block);
        else this.core.setRegion(index, region.size, READ_WRITE);
      }
      this.registers.add(VfioRegion.config, declaration.configSpace.block);
      this.irqs = new Irqs(this.core, declaration.configSpace, this.irqInfos, platform.msixOwner);
      this.irqs.bindPending();
      this.core.setEnforceMemoryDecode(platform.enforceMemoryDecode);
      applyDmaLimits(this.core, platform.dma);
      this.#applyBusMaster();
    } catch (error) {
      this.core.close();
      throw error;
    }
  }

  /** The device's side of a BAR's registers, by BAR name. */
  deviceRegions(): Readonly<Partial<Record<BarName, RegisterRegion>>> {
    return Object.fromEntries(
      barsOf(this.bars)
        .filter(({ region }) => region.kind === 'mmio')
        .map(({ name, index }) => [name, this.registers.get(index)]),
    );
  }

  /**
   * Gives the function its behaviour and opens it for accesses.
   * @throws `DeclarationError` when the behaviour's hooks do not mirror the blocks.
   */
  bind(behaviour: MdevBehaviour): void {
    const hooks = (behaviour.hooks ?? {}) as Readonly<Partial<Record<string, object>>>;
    const bars = barsOf(this.bars);
    for (const name of Object.keys(hooks)) {
      if (bars.find((bar) => bar.name === name)?.region.kind !== 'mmio') {
        throw new DeclarationError(`hooks: ${name} is not a BAR with registers`);
      }
    }
    for (const { name, index, region } of bars) {
      if (region.kind !== 'mmio') continue;
      const own = this.irqs.tableHooks(index);
      const vendor = hooks[name];
      if (own !== undefined && vendor !== undefined && 'MSIX_TABLE' in vendor) {
        throw new DeclarationError(`hooks: ${name}.MSIX_TABLE belongs to the framework`);
      }
      if (own !== undefined || vendor !== undefined) {
        this.registers.bind(index, name, region.block, { ...vendor, ...own });
      }
    }
    this.#bindConfigSpace();
    this.#behaviour = behaviour;
    this.core.setTrapHandler({
      access: (region, offset, data, write) => this.#access(region, offset, data, write),
      reset: () => this.#host.resetByClient(),
      onFailure: (error) => {
        this.#host.failed('trap handler', error);
      },
    });
  }

  /** Whether the device may reach guest memory. */
  get busMaster(): boolean {
    return this.#busMaster || !this.#platform.enforceBusMaster;
  }

  /** The address that the guest gave a BAR. */
  barAddress(index: 0 | 1 | 2 | 3 | 4 | 5): bigint | undefined {
    return this.#pci?.barAddress(index);
  }

  /** Counters of what the guest and the client did, and of what was refused. */
  statistics(): DeviceStatistics {
    const native = this.core.statistics();
    let { droppedWrites, frozenWrites } = native;
    for (const { counters } of this.registers.refusedWrites()) {
      droppedWrites += counters.dropped;
      frozenWrites += counters.frozen;
    }
    return { ...native, droppedWrites, frozenWrites };
  }

  /** What the guest did wrong, as far as the framework and the behaviour know. What the behaviour throws passes through. */
  guestErrors(): readonly GuestError[] {
    const { droppedWrites, frozenWrites, dmaFaults, refused } = this.statistics();
    return [
      {
        kind: 'droppedWrites',
        message: `a write was dropped: its register does not take this width${this.#place('dropped')}, or nothing is there`,
        count: droppedWrites,
      },
      {
        kind: 'frozenWrites',
        message: `a write was ignored: its register is locked${this.#place('frozen')}`,
        count: frozenWrites,
      },
      {
        kind: 'dmaFaults',
        message: 'the device could not reach guest memory: not mapped, without the right, or bus master is off',
        count: dmaFaults,
      },
      { kind: 'refused', message: 'an access or a request was refused with an errno', count: refused },
      ...(this.#behaviour.guestErrors?.() ?? []),
    ];
  }

  /** Resets function and config space. What the behaviour throws passes through. */
  reset(cause: ResetCause, kind: 'cold' | 'function' = 'function'): void {
    this.#behaviour.stop?.();
    this.#pci?.reset(kind);
    this.#resetRegions(cause, kind);
  }

  /**
   * All regions read all ones and drop writes, guest memory is out of reach, and the behaviour has stopped, from now
   * on.
   */
  isolate(): void {
    this.#isolated = true;
    this.core.setIsolated(true);
    try {
      this.#behaviour.stop?.();
    } finally {
      this.#applyBusMaster();
    }
  }

  /** Ends `isolate`; a reset should follow at once. */
  rejoin(): void {
    this.#isolated = false;
    this.core.setIsolated(false);
    this.#applyBusMaster();
  }

  #bindConfigSpace(): void {
    const pci = new PciFunction(this.configSpace, {
      memoryDecode: (enabled) => {
        this.core.setMemoryDecode(enabled);
      },
      busMaster: (enabled) => {
        this.#busMaster = enabled;
      },
      intxDisabled: (disabled) => {
        this.irqs.disableIntx(disabled);
      },
      msiControl: (control) => {
        this.irqs.controlMsi(control);
      },
      msiMask: (mask) => {
        this.irqs.maskMsi(mask);
      },
      interruptStatus: () => this.irqs.intxAsserted,
      functionReset: () => {
        // FLR; config space is reset already.
        this.#behaviour.stop?.();
        this.#resetRegions('flr', 'function');
      },
      msixControl: (control) => {
        this.#msixControl = control;
      },
      powerState: () => undefined,
    });
    pci.bind(this.registers.bind(VfioRegion.config, 'config', this.configSpace.block, pci.hooks));
    this.#pci = pci;
  }

  /** Everything but config space, which is reset already. The behaviour has stopped. */
  #resetRegions(cause: ResetCause, kind: 'cold' | 'function'): void {
    this.#msixControl = undefined;
    this.#toldBusMaster = false;
    this.#applyBusMaster();
    this.registers.reset(kind, VfioRegion.config);
    this.irqs.reset();
    this.#behaviour.reset?.(kind);
    this.#host.wasReset(kind, cause);
  }

  /** The register of the last such write since this was last asked, if one came that the interpreter saw. */
  #place(refusal: 'dropped' | 'frozen'): string {
    const last = refusal === 'dropped' ? 'lastDropped' : 'lastFrozen';
    let place = '';
    for (const { index, counters } of this.registers.refusedWrites()) {
      const key = `${index} ${refusal}`;
      if (counters[refusal] > (this.#placed.get(key) ?? 0)) {
        place = ` (${index === VfioRegion.config ? 'config' : `bar${index}`}.${counters[last] ?? ''})`;
      }
      this.#placed.set(key, counters[refusal]);
    }
    return place;
  }

  #applyBusMaster(): void {
    this.core.setBusMaster(this.busMaster && !this.#isolated);
  }

  #access(region: number, offset: number, data: Uint8Array, write: boolean): number {
    try {
      this.registers.access(region, offset, data, write);
      if (region === VfioRegion.config) {
        this.#tellMsixControl();
        this.#tellBusMaster();
      }
      return 0;
    } catch (error) {
      this.#host.failed(error instanceof HookFailure ? error.path : `VFIO region ${region}`, error);
      if (!write) data.fill(0xff);
      return 0;
    }
  }

  #tellMsixControl(): void {
    if (this.#msixControl === undefined) return;
    this.irqs.control(this.#msixControl);
    this.#msixControl = undefined;
  }

  /**
   * Memory is there before the behaviour hears that it is, and stays until the behaviour has heard that it goes: what is
   * in flight would end in faults otherwise, which hide what really happened.
   */
  #tellBusMaster(): void {
    const enabled = this.#busMaster;
    if (!this.#platform.enforceBusMaster || enabled === this.#toldBusMaster) return;
    this.#toldBusMaster = enabled;
    if (enabled) this.#applyBusMaster();
    try {
      this.#behaviour.busMaster?.(enabled);
    } catch (error) {
      throw new HookFailure('config.COMMAND', error);
    } finally {
      this.#applyBusMaster();
    }
  }
}
