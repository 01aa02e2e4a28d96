import {
  type Capability,
  type ConfigSpace,
  DeclarationError,
  type ErrorMessage,
  hideCapabilities,
  type MsixControl,
  type PciError,
  PciFunction,
  type PciHost,
  type PowerState,
  type RegisterRegion,
  type ResetKind,
} from '../emulation/index.ts';
import { createDeviceCore, type DeviceCore, type DeviceStatistics } from '../native/binding.ts';
import { type DeviceHandle, deviceHandle } from '../native/device-handle.ts';
import type { MdevBehaviour } from './behaviour.ts';
import { bindHooks } from './bind-hooks.ts';
import { buildRegions, fillMemories, type RegionMemories } from './build-regions.ts';
import { callSynchronously } from './call-synchronously.ts';
import { checkMsixOwner } from './check-msix.ts';
import { irqInfos, regionInfos } from './device-info.ts';
import type { DeviceConfigSpace } from './device-config-space.ts';
import type { GuestError } from './guest-errors.ts';
import { HookFailure } from './hook-guard.ts';
import { Irqs } from './irqs.ts';
import type { DeviceDeclaration } from './device-declaration.ts';
import { applyDmaLimits } from './dma-limits.ts';
import type { PlatformCapabilities } from './platform-capabilities.ts';
import { MdevError } from './mdev-error.ts';
import { RefusedWrites } from './refused-writes.ts';
import { type RegionName, type Regions, regionsOf } from './regions.ts';
import { RegisterRegions } from './register-regions.ts';
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

/** Name of the region of config space, for hooks and the paths of what they throw. */
const CONFIG = 'config';

/**
 * Who asked for a reset: the guest by PCI Express FLR or by leaving D3hot (PCI Power Management 1.2, 5.4.1), the client by
 * DEVICE_RESET or by coming to a frozen instance, or who owns the instance.
 */
export type ResetCause = 'flr' | 'power' | 'client' | 'owner';

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
  /** The memory behind the regions that have some. */
  readonly memories: RegionMemories;
  readonly platform: PlatformCapabilities;
  readonly #host: MdevFunctionHost;
  #behaviour: MdevBehaviour = {};
  #pci: PciFunction | undefined;
  /** COMMAND.busMaster and D0, as the guest set them. */
  #busMaster = false;
  /** As the guest set it, and as the behaviour knows it. */
  #powerState: PowerState = 0;
  #toldPowerState: PowerState = 0;
  /** What the access in progress changed, to be told when it is over: a reset in the same access makes it void. */
  #msixControl: MsixControl | undefined;
  /** `#busMaster` as the behaviour knows it. */
  #toldBusMaster = false;
  #isolated = false;
  #paused = false;
  readonly #refused: RefusedWrites;

  constructor(declaration: DeviceDeclaration, platform: PlatformCapabilities, host: MdevFunctionHost) {
    this.configSpace = visibleConfigSpace(declaration.configSpace, platform);
    this.bars = declaration.regions;
    this.platform = platform;
    this.#host = host;
    this.irqInfos = irqInfos(this.configSpace);
    checkMsixOwner(this.configSpace, declaration.regions, platform.msixOwner);
    this.core = createDeviceCore();
    this.handle = deviceHandle(this.core);
    try {
      this.registers = new RegisterRegions(this.core);
      this.#refused = new RefusedWrites(this.registers);
      this.memories = buildRegions(this.core, this.registers, declaration.regions, platform);
      this.registers.add(VfioRegion.config, this.configSpace.block);
      this.regions = regionInfos(declaration.regions, this.configSpace, (index) => this.core.regionFile(index));
      this.irqs = new Irqs(this.core, this.configSpace, this.irqInfos, platform.msixOwner);
      this.irqs.bindPending();
      this.core.setEnforceMemoryDecode(platform.enforceMemoryDecode);
      this.core.setAskUnmapped(platform.askUnmapped);
      applyDmaLimits(this.core, platform.dma);
      this.#applyBusMaster();
    } catch (error) {
      this.core.close();
      throw error;
    }
  }

  /** The device's side of the regions with registers, by name. */
  deviceRegions(): Readonly<Partial<Record<RegionName, RegisterRegion>>> {
    return Object.fromEntries(
      regionsOf(this.bars)
        .filter(({ region }) => region.kind === 'mmio')
        .map(({ name, index }) => [name, this.registers.get(index)]),
    );
  }

  /** The device's side of config space. */
  deviceConfigSpace(): DeviceConfigSpace<readonly Capability[]> {
    return {
      registers: this.registers.get(VfioRegion.config).registers as DeviceConfigSpace<
        readonly Capability[]
      >['registers'],
      recordError: (error) => this.recordError(error),
    };
  }

  /** See {@link DeviceConfigSpace.recordError}. */
  recordError(error: PciError): ErrorMessage | undefined {
    if (this.#pci === undefined) throw new MdevError('EINVAL', 'recordError: the instance is still being made');
    return this.#pci.recordError(error);
  }

  /**
   * Gives the function its behaviour and opens it for accesses.
   * @throws `DeclarationError` when the behaviour's hooks do not mirror the blocks.
   */
  bind(behaviour: MdevBehaviour): void {
    const { config, ...hooks } = (behaviour.hooks ?? {}) as { readonly config?: object };
    bindHooks(this.registers, this.bars, this.irqs, hooks);
    this.#bindConfigSpace(config);
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
    return this.#busMaster || !this.platform.enforceBusMaster;
  }

  /** The address that the guest gave a BAR. */
  barAddress(index: 0 | 1 | 2 | 3 | 4 | 5): bigint | undefined {
    return this.#pci?.barAddress(index);
  }

  /** Counters of what the guest and the client did, and of what was refused. */
  statistics(): DeviceStatistics {
    const native = this.core.statistics();
    const { dropped, frozen } = this.#refused.counts;
    return {
      ...native,
      droppedWrites: native.droppedWrites + dropped,
      frozenWrites: native.frozenWrites + frozen,
    };
  }

  /** What the guest did wrong, as far as the framework and the behaviour know. What the behaviour throws passes through. */
  guestErrors(): readonly GuestError[] {
    const { droppedWrites, frozenWrites, dmaFaults, refused } = this.statistics();
    return [
      {
        kind: 'droppedWrites',
        message: `a write was dropped: its register does not take this width${this.#refused.place('dropped')}, or nothing is there`,
        count: droppedWrites,
      },
      {
        kind: 'frozenWrites',
        message: `a write was ignored: its register is locked${this.#refused.place('frozen')}`,
        count: frozenWrites,
      },
      {
        kind: 'dmaFaults',
        message: 'the device could not reach guest memory: not mapped, without the right, or bus master is off',
        count: dmaFaults,
      },
      { kind: 'refused', message: 'an access or a request was refused with an errno', count: refused },
      ...(callSynchronously('guestErrors', () => this.#behaviour.guestErrors?.()) ?? []),
    ];
  }

  /** Resets function and config space. What the behaviour throws passes through. */
  reset(cause: ResetCause, kind: 'cold' | 'function' = 'function'): void {
    this.#stop();
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
      this.#stop();
    } finally {
      this.#applyBusMaster();
    }
  }

  /** Between `isolate` and `rejoin`. */
  get isolated(): boolean {
    return this.#isolated;
  }

  /**
   * While paused, guest memory is out of reach and interrupts are kept back, whatever the behaviour does. The guest is
   * served.
   */
  setPaused(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.core.setInterruptsHeld(paused);
    this.#applyBusMaster();
  }

  /** Follows config space that was restored. The behaviour is not told: it is about to be given its own state. */
  followConfigSpace(): void {
    this.#pci?.synchronize();
    this.#tellMsixControl();
    this.#toldBusMaster = this.#busMaster;
    this.#toldPowerState = this.#powerState;
    this.#applyBusMaster();
  }

  /** Ends `isolate`; a reset should follow at once. */
  rejoin(): void {
    this.#isolated = false;
    this.core.setIsolated(false);
    this.#applyBusMaster();
  }

  #stop(): void {
    callSynchronously('stop', () => this.#behaviour.stop?.());
  }

  #bindConfigSpace(hooks: object | undefined): void {
    const host: PciHost = {
      memoryDecode: (enabled) => {
        this.core.setMemoryDecode(enabled);
      },
      ioDecode: (enabled) => {
        this.core.setIoDecode(enabled);
      },
      romDecode: (enabled) => {
        this.core.setRomDecode(enabled);
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
      functionReset: (cause) => {
        // Config space is reset already.
        this.#stop();
        this.#resetRegions(cause, 'function');
      },
      msixControl: (control) => {
        this.#msixControl = control;
      },
      powerState: (state) => {
        this.#powerState = state;
      },
    };
    const pci = new PciFunction(this.configSpace, host, hooks);
    pci.bind(this.registers.bind(VfioRegion.config, CONFIG, this.configSpace.block, pci.hooks));
    this.#pci = pci;
  }

  /** Everything but config space, which is reset already. The behaviour has stopped. */
  #resetRegions(cause: ResetCause, kind: 'cold' | 'function'): void {
    this.#msixControl = undefined;
    this.#toldBusMaster = false;
    this.#toldPowerState = this.#powerState;
    this.#applyBusMaster();
    this.registers.reset(kind, VfioRegion.config);
    if (kind === 'cold') this.#refillMemories();
    this.irqs.reset();
    callSynchronously('reset', () => this.#behaviour.reset?.(kind));
    this.#host.wasReset(kind, cause);
  }

  #refillMemories(): void {
    for (const bytes of Object.values(this.memories)) bytes.fill(0);
    fillMemories(this.bars, this.memories);
  }

  #applyBusMaster(): void {
    this.core.setBusMaster(this.busMaster && !this.#isolated && !this.#paused);
  }

  #access(region: number, offset: number, data: Uint8Array, write: boolean): number {
    try {
      this.registers.access(region, offset, data, write);
      if (region === VfioRegion.config) {
        this.#tellMsixControl();
        this.#tellPowerState();
        this.#tellBusMaster();
      }
      // A hook may have frozen the instance.
      if (this.#isolated && !write) data.fill(0xff);
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

  #tellPowerState(): void {
    const state = this.#powerState;
    if (state === this.#toldPowerState) return;
    this.#toldPowerState = state;
    try {
      callSynchronously('powerState', () => this.#behaviour.powerState?.(state));
    } catch (error) {
      throw new HookFailure('config.PMCSR', error);
    }
  }

  /**
   * Memory is there before the behaviour hears that it is, and stays until the behaviour has heard that it goes: what is
   * in flight would end in faults otherwise, which hide what really happened.
   */
  #tellBusMaster(): void {
    const enabled = this.#busMaster;
    if (!this.platform.enforceBusMaster || enabled === this.#toldBusMaster) return;
    this.#toldBusMaster = enabled;
    if (enabled) this.#applyBusMaster();
    try {
      callSynchronously('busMaster', () => this.#behaviour.busMaster?.(enabled));
    } catch (error) {
      throw new HookFailure('config.COMMAND', error);
    } finally {
      this.#applyBusMaster();
    }
  }
}

function visibleConfigSpace(configSpace: ConfigSpace, platform: PlatformCapabilities): ConfigSpace {
  const { hiddenCapabilities: capabilities, hiddenFields: fields } = platform;
  try {
    return hideCapabilities(configSpace, { capabilities, fields });
  } catch (error) {
    if (error instanceof DeclarationError)
      throw new MdevError('EINVAL', `platform: ${error.message}`, { cause: error });
    throw error;
  }
}
