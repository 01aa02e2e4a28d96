import type { ConfigSpace, RegisterRegion, ResetKind } from '../../emulation/index.ts';
import { createDeviceCore, type DeviceCore, type DeviceStatistics } from '../../native/binding.ts';
import { type DeviceHandle, deviceHandle } from '../../native/device-handle.ts';
import type { MdevBehaviour } from '../type/behaviour.ts';
import { bindHooks } from '../regions/bind-hooks.ts';
import { buildRegions, fillMemories, type RegionMemories } from '../regions/build-regions.ts';
import { callSynchronously } from '../base/call-synchronously.ts';
import { checkMsixOwner } from '../interrupts/check-msix.ts';
import type { DeviceDeclaration } from '../type/device-declaration.ts';
import { irqInfos, regionInfos } from '../vfio/device-info.ts';
import { applyDmaLimits } from '../dma/dma-limits.ts';
import type { GuestError } from '../errors/guest-errors.ts';
import { HookFailure } from '../errors/hook-guard.ts';
import { Irqs } from '../interrupts/irqs.ts';
import type { PlatformCapabilities } from '../platform/platform-capabilities.ts';
import { type RegionName, type Regions, regionsOf } from '../regions/regions.ts';
import { RegisterRegions } from '../regions/register-regions.ts';
import { type IrqInfo, type RegionInfo, VfioRegion } from '../vfio/vfio.ts';
import { controlHooks } from '../sva/control-hooks.ts';
import { FunctionConfigSpace } from './function-config-space.ts';
import { FunctionCounters } from './function-counters.ts';
import { GuestControl } from './guest-control.ts';
import { GuestMemoryGate } from './guest-memory-gate.ts';
import type { ResetCause } from './reset-cause.ts';
import { visibleConfigSpace } from './visible-config-space.ts';

/** What a function tells the instance that it belongs to. */
export interface MdevFunctionHost {
  /** A hook, or the behaviour called by one, threw. */
  failed(path: string, error: unknown): void;
  /** The guest, or a client's DEVICE_RESET, reset the function. */
  wasReset(kind: ResetKind, cause: ResetCause): void;
  /** DEVICE_RESET by a client. Returns 0 or an errno. */
  resetByClient(): number;
}

/** What follows a function's config space, and what keeps it from guest memory. */
export interface FunctionFollower {
  /** One of them may have changed. */
  follow(): void;
  /** Config space was restored; `follow` comes next. */
  restored(): void;
  /** PRI.CONTROL.reset was written while page requests are disabled. */
  resetPageRequests(): void;
}

/**
 * The PCI function of one instance: native core, register regions, config space and interrupts, and the behaviour that
 * reacts to them. It knows neither names nor life cycle.
 */
export class MdevFunction {
  readonly core: DeviceCore;
  /** `core` for those that hand it on. */
  readonly handle: DeviceHandle;
  /** As the instance shows it. */
  readonly configSpace: ConfigSpace;
  readonly config: FunctionConfigSpace;
  readonly regions: readonly RegionInfo[];
  readonly irqInfos: readonly IrqInfo[];
  readonly irqs: Irqs;
  readonly declaredRegions: Regions;
  /** See `DeviceDeclaration.hasSubPageBars`. */
  readonly hasSubPageBars: boolean;
  readonly registers: RegisterRegions;
  /** The memory behind the regions that have some. */
  readonly memories: RegionMemories;
  readonly platform: PlatformCapabilities;
  readonly #host: MdevFunctionHost;
  #behaviour: MdevBehaviour = {};
  #follower: FunctionFollower | undefined;
  readonly #gate: GuestMemoryGate;
  readonly #control: GuestControl;
  readonly #counters: FunctionCounters;

  constructor(declaration: DeviceDeclaration, platform: PlatformCapabilities, host: MdevFunctionHost) {
    this.configSpace = visibleConfigSpace(declaration.configSpace, platform);
    this.declaredRegions = declaration.regions;
    this.hasSubPageBars = declaration.hasSubPageBars;
    this.platform = platform;
    this.#host = host;
    this.irqInfos = irqInfos(this.configSpace);
    checkMsixOwner(this.configSpace, declaration.regions, platform.msixOwner);
    this.core = createDeviceCore();
    this.handle = deviceHandle(this.core);
    try {
      this.registers = new RegisterRegions(this.core, () => !this.isolated);
      this.#counters = new FunctionCounters(this.core, this.registers);
      this.memories = buildRegions(this.core, this.registers, declaration.regions, platform);
      this.config = new FunctionConfigSpace(this.configSpace, this.registers);
      this.regions = regionInfos(declaration.regions, this.configSpace, (index) => this.core.regionFile(index));
      this.irqs = new Irqs(this.core, this.configSpace, this.irqInfos, platform.msixOwner);
      this.irqs.bindPending();
      this.#gate = new GuestMemoryGate(this.core, platform.enforceBusMaster);
      const behaviour = (): MdevBehaviour => this.#behaviour;
      this.#control = new GuestControl({ core: this.core, irqs: this.irqs, gate: this.#gate, behaviour });
      this.core.setEnforceMemoryDecode(platform.enforceMemoryDecode);
      this.core.setAskUnmapped(platform.askUnmapped);
      applyDmaLimits(this.core, platform.dma);
      this.#gate.apply();
    } catch (error) {
      this.core.close();
      throw error;
    }
  }

  /** The device's side of the regions with registers, by name. */
  deviceRegions(): Readonly<Partial<Record<RegionName, RegisterRegion>>> {
    return Object.fromEntries(
      regionsOf(this.declaredRegions)
        .filter(({ region }) => region.kind === 'mmio')
        .map(({ name, index }) => [name, this.registers.get(index)]),
    );
  }

  /**
   * Gives the function its behaviour and opens it for accesses.
   * @throws `DeclarationError` when the behaviour's hooks do not mirror the blocks.
   */
  bind(behaviour: MdevBehaviour): void {
    const { config, ...hooks } = (behaviour.hooks ?? {}) as { readonly config?: object };
    bindHooks(this.registers, this.declaredRegions, this.irqs, hooks);
    const follower = this.#follower;
    const functionReset = (cause: ResetCause): void => {
      // Config space is reset already.
      this.#stop();
      this.#resetRegions(cause, 'function');
    };
    const configHooks = follower === undefined ? config : controlHooks(config ?? {}, this.configSpace, follower);
    this.config.bind({ ...this.#control.host, functionReset }, configHooks);
    this.#behaviour = behaviour;
    this.core.setTrapHandler({
      access: (region, offset, data, write) => this.#access(region, offset, data, write),
      reset: () => this.#host.resetByClient(),
      onFailure: (error) => {
        this.#host.failed('trap handler', error);
      },
    });
  }

  /** Has somebody follow, before {@link bind}. */
  followedBy(follower: FunctionFollower): void {
    this.#follower = follower;
    this.#gate.applied = () => {
      follower.follow();
    };
  }

  /** What keeps the function from guest memory. */
  get gate(): Readonly<Pick<GuestMemoryGate, 'granted' | 'isolated' | 'paused'>> {
    return this.#gate;
  }

  /** Whether the device may reach guest memory. */
  get busMaster(): boolean {
    return this.#gate.granted;
  }

  /** Counters of what the guest and the client did, and of what was refused. */
  statistics(): DeviceStatistics {
    return this.#counters.statistics();
  }

  /** What the guest did wrong, as far as the framework and the behaviour know. What the behaviour throws passes through. */
  guestErrors(): readonly GuestError[] {
    return [
      ...this.#counters.guestErrors(),
      ...(callSynchronously('guestErrors', () => this.#behaviour.guestErrors?.()) ?? []),
    ];
  }

  /** Resets function and config space. What the behaviour throws passes through. */
  reset(cause: ResetCause, kind: 'cold' | 'function' = 'function'): void {
    this.#stop();
    this.config.reset(kind);
    this.#resetRegions(cause, kind);
  }

  /**
   * All regions read all ones and drop writes, guest memory is out of reach, and the behaviour has stopped, from now
   * on.
   */
  isolate(): void {
    this.#gate.isolated = true;
    this.core.setIsolated(true);
    try {
      this.#stop();
    } finally {
      this.#gate.apply();
    }
  }

  /** Between `isolate` and `rejoin`. */
  get isolated(): boolean {
    return this.#gate.isolated;
  }

  /**
   * While paused, guest memory is out of reach and interrupts are kept back, whatever the behaviour does. The guest is
   * served.
   */
  setPaused(paused: boolean): void {
    if (paused === this.#gate.paused) return;
    this.#gate.paused = paused;
    this.core.setInterruptsHeld(paused);
    this.#gate.apply();
  }

  /** Follows config space that was restored. The behaviour is not told: it is about to be given its own state. */
  followConfigSpace(): void {
    this.#follower?.restored();
    this.config.synchronize();
    this.#control.restored();
  }

  /** Ends `isolate`; a reset should follow at once. */
  rejoin(): void {
    this.#gate.isolated = false;
    this.core.setIsolated(false);
    this.#gate.apply();
  }

  #stop(): void {
    callSynchronously('stop', () => this.#behaviour.stop?.());
  }

  /** Everything but config space, which is reset already. The behaviour has stopped. */
  #resetRegions(cause: ResetCause, kind: 'cold' | 'function'): void {
    this.#control.reset();
    this.registers.reset(kind, VfioRegion.config);
    if (kind === 'cold') this.#refillMemories();
    this.irqs.reset();
    callSynchronously('reset', () => this.#behaviour.reset?.(kind));
    this.#host.wasReset(kind, cause);
  }

  #refillMemories(): void {
    for (const bytes of Object.values(this.memories)) bytes.fill(0);
    fillMemories(this.declaredRegions, this.memories);
  }

  #access(region: number, offset: number, data: Uint8Array, write: boolean): number {
    try {
      this.registers.access(region, offset, data, write);
      if (region === VfioRegion.config) {
        this.#control.accessed();
        this.#follower?.follow();
      }
      // A hook may have frozen the instance.
      if (this.#gate.isolated && !write) data.fill(0xff);
      return 0;
    } catch (error) {
      this.#host.failed(error instanceof HookFailure ? error.path : `VFIO region ${region}`, error);
      if (!write) data.fill(0xff);
      return 0;
    }
  }
}
