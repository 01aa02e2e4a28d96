import type { RegisterBlock, Registers } from '../block.ts';
import type { Hooks, RegisterHooks } from '../hooks.ts';
import type { RegisterRegion } from '../region.ts';
import type { BarNumber } from './bar.ts';
import type { ConfigSpace } from './config-space.ts';
import {
  type FunctionCapabilities,
  functionCapabilities,
  type FunctionRegisters,
  functionRegisters,
} from './function-registers.ts';
import type { ExpansionRomRegister } from './expansion-rom.ts';
import type { HeaderRegisters } from './header.ts';
import { mergeHooks } from './merge-hooks.ts';
import type { MsiCapabilityRegisters } from './msi.ts';
import type { MsixCapabilityRegisters } from './msix.ts';
import type { PciExpressRegisters } from './pci-express-registers.ts';
import { HostSignals } from './host-signals.ts';
import { hasInterruptPin } from './interrupt-pin.ts';
import type { PciHost } from './pci-host.ts';
import { checkErrorName, type ErrorMessage, type PciError, recordError } from './record-error.ts';
import type { PowerManagementRegisters } from './power-management.ts';

const D3_HOT = 3;

/**
 * The behaviour of one instance's config space: command register, function-level reset, MSI-X control and power states.
 * Everything else in config space is declaration.
 *
 * Made in three steps, because a region needs the hooks and the hooks need the region:
 * `const pci = new PciFunction(config, host)`, `const region = new RegisterRegion(config.block, { hooks: pci.hooks })`,
 * `pci.bind(region)`.
 */
export class PciFunction<R extends Registers = Registers> {
  readonly config: ConfigSpace<R>;
  /** Hooks for the region: the function's and the vendor's. */
  readonly hooks: Hooks<RegisterBlock<R>>;
  readonly #host: PciHost;
  readonly #names: FunctionCapabilities;
  #region: RegisterRegion<RegisterBlock<R>> | undefined;
  #registers: FunctionRegisters | undefined;
  #signals: HostSignals | undefined;

  /**
   * @param host - is told of every change
   * @param hooks - a vendor's hooks on other registers of the config space
   * @throws `DeclarationError` if `hooks` has one for a register of the function
   */
  constructor(config: ConfigSpace<R>, host: PciHost, hooks?: Hooks<RegisterBlock<R>>) {
    this.config = config;
    this.#host = host;
    this.#names = functionCapabilities(config);
    this.hooks = mergeHooks(this.#ownHooks(), this.#visible(hooks ?? {}));
  }

  /**
   * Says which region the function lives in, once. Tells the host what a region with restored contents has changed.
   *
   * @throws Error if it is bound already or the region is of another block
   */
  bind(region: RegisterRegion<RegisterBlock<R>>): void {
    if (this.#region !== undefined) throw new Error('PciFunction: already bound to a region');
    if (region.block !== this.config.block) throw new Error('PciFunction: the region is of another register block');
    this.#region = region;
    this.#registers = functionRegisters(region, this.#names);
    this.#signals = new HostSignals(this.#registers, this.#host);
    this.synchronize();
  }

  /**
   * The region of {@link bind}.
   * @throws Error before that
   */
  get region(): RegisterRegion<RegisterBlock<R>> {
    if (this.#region === undefined) throw new Error('PciFunction: not bound to a region yet');
    return this.#region;
  }

  /** The address that the guest gave a BAR; undefined if there is none of this number. */
  barAddress(number: BarNumber): bigint | undefined {
    const bar = this.config.bars[number];
    if (bar === undefined) return undefined;
    const file = this.region.registers as Readonly<Record<string, { readonly value: number } | undefined>>;
    const low = BigInt(file[`BAR${number}`]?.value ?? 0) & (bar.kind === 'io' ? ~0x3n : ~0xfn);
    return bar.width === 32 ? low : low | (BigInt(file[`BAR${number + 1}`]?.value ?? 0) << 32n);
  }

  /**
   * The address that the guest gave the expansion ROM; undefined if there is none.
   * @throws Error before {@link bind}
   */
  romAddress(): bigint | undefined {
    if (this.config.rom === undefined) return undefined;
    return BigInt(this.#bound().expansionRom.value) & ~0x7ffn;
  }

  /**
   * Resets config space and tells the host what that changed; not `functionReset`, since whoever calls this knows. What
   * survives is declared: sticky bits, the maximum payload size and the link's settings (Base Specification 5.0, 6.6.2).
   * @throws Error before {@link bind}
   */
  reset(kind: 'cold' | 'function'): void {
    this.region.reset(kind);
    this.synchronize();
  }

  /**
   * Compares config space with what the host was told and tells it the difference. For use after `region.restore`.
   * @throws Error before {@link bind}
   */
  synchronize(): void {
    this.#bound();
    this.#signals?.synchronize();
  }

  /**
   * Records an error of this function in STATUS, the PCI Express capability and AER, as far as there are any; masks and
   * severities are the guest's (Base Specification 5.0, 6.2.5).
   *
   * @returns the message that the function would send to its root port; undefined if it is masked or not enabled
   * @throws RangeError for a name that no error has, and for an error that AER was declared without
   */
  recordError(error: PciError): ErrorMessage | undefined {
    const registers = this.#bound();
    checkErrorName(error);
    if (registers.aer !== undefined) this.#checkError(error);
    return recordError(registers, error);
  }

  /** Errors that AER was declared without have read-only bits. */
  #checkError(error: PciError): void {
    const aer = this.config.capabilities.find(({ name }) => name === this.#names.aer)?.registers;
    const [register, field] =
      'correctable' in error
        ? ['CORRECTABLE_STATUS', error.correctable]
        : ['UNCORRECTABLE_STATUS', error.uncorrectable];
    const item = aer?.[register];
    if (item?.kind === 'register' && item.fields[field]?.access !== 'w1c')
      throw new RangeError(`recordError: ${register}.${field} is no error that this function was declared with`);
  }

  #visible(hooks: object): object {
    const hidden = new Set(this.config.hidden.map(({ name }) => name));
    return Object.fromEntries(Object.entries(hooks).filter(([name]) => !hidden.has(name)));
  }

  #bound(): FunctionRegisters {
    if (this.#registers === undefined) throw new Error('PciFunction: not bound to a region yet');
    return this.#registers;
  }

  #resetByGuest(cause: 'flr' | 'power'): void {
    this.reset('function');
    this.#host.functionReset?.(cause);
  }

  #ownHooks(): object {
    const { pciExpress, msi, msix, powerManagement } = this.#names;
    const synchronize = (): void => {
      this.synchronize();
    };
    const command: RegisterHooks<HeaderRegisters['COMMAND']> = { afterWrite: synchronize };
    const rom: RegisterHooks<ExpansionRomRegister['EXPANSION_ROM']> = { afterWrite: synchronize };
    const msixControl: RegisterHooks<MsixCapabilityRegisters['CONTROL']> = { afterWrite: synchronize };
    return {
      COMMAND: command,
      ...(this.config.rom === undefined ? {} : { EXPANSION_ROM: rom }),
      ...this.#statusHooks(),
      ...(msi === undefined ? {} : { [msi]: this.#msiHooks() }),
      ...(msix === undefined ? {} : { [msix]: { CONTROL: msixControl } }),
      ...(pciExpress === undefined ? {} : { [pciExpress]: { DEVCTL: this.#deviceControlHooks() } }),
      ...(powerManagement === undefined ? {} : { [powerManagement]: { PMCSR: this.#powerHooks() } }),
    };
  }

  #statusHooks(): object {
    const host = this.#host;
    if (host.interruptStatus === undefined || !hasInterruptPin(this.config)) return {};
    const status: RegisterHooks<HeaderRegisters['STATUS']> = {
      beforeRead: () => ({ interruptStatus: host.interruptStatus?.() === true }),
    };
    return { STATUS: status };
  }

  #msiHooks(): object {
    const synchronize = (): void => {
      this.synchronize();
    };
    const control: RegisterHooks<MsiCapabilityRegisters['CONTROL']> = {
      beforeWrite: ({ multipleMessageEnable: asked, multipleMessageCapable: most }) =>
        asked > most ? { multipleMessageEnable: most } : undefined,
      afterWrite: synchronize,
    };
    const mask: RegisterHooks<MsiCapabilityRegisters<true, true>['MASK']> = { afterWrite: synchronize };
    return { CONTROL: control, ...(this.#names.msiMasking ? { MASK: mask } : {}) };
  }

  #deviceControlHooks(): RegisterHooks<PciExpressRegisters['DEVCTL']> {
    return {
      afterWrite: ({ initiateFunctionLevelReset }) => {
        if (!initiateFunctionLevelReset) return undefined;
        if (this.#bound().pciExpress?.DEVCAP.functionLevelReset === true) this.#resetByGuest('flr');
        return { initiateFunctionLevelReset: false };
      },
    };
  }

  #powerHooks(): RegisterHooks<PowerManagementRegisters['PMCSR']> {
    return {
      beforeWrite: ({ powerState }, previous) => {
        const capabilities = this.#bound().powerManagement?.PMC;
        // Power Management Interface 1.2, 5.4: down, or back to D0, and only to what there is.
        const refused =
          (powerState !== 0 && powerState < previous.powerState) ||
          (powerState === 1 && capabilities?.d1 !== true) ||
          (powerState === 2 && capabilities?.d2 !== true);
        return refused ? { powerState: previous.powerState } : undefined;
      },
      afterWrite: ({ powerState, noSoftReset }, previous) => {
        if (previous.powerState === D3_HOT && powerState === 0 && !noSoftReset) this.#resetByGuest('power');
        else this.synchronize();
      },
    };
  }
}
