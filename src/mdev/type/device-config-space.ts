import type {
  Capability,
  ConfigSpaceRegisters,
  ErrorMessage,
  Hooks,
  PciError,
  RegisterBlock,
  RegisterFile,
} from '../../emulation/index.ts';

/** The config space block of a type with these capabilities; of its header alone where they are not known by name. */
type ConfigBlock<C extends readonly Capability[]> = RegisterBlock<
  string extends C[number]['name'] ? ConfigSpaceRegisters : ConfigSpaceRegisters<C[number]>
>;

/** Hooks of a type's config space: its capabilities, and the header's registers that the framework leaves alone. */
export type ConfigHooks<C extends readonly Capability[]> = Hooks<ConfigBlock<C>>;

/** The device's side of an instance's config space. */
export interface DeviceConfigSpace<C extends readonly Capability[]> {
  /** By name, without the guest's rules and without hooks. Those of capabilities that this instance hides are here too. */
  readonly registers: RegisterFile<ConfigBlock<C>>;
  /**
   * Records an error in STATUS, the PCI Express capability and AER, as far as there are any, under the guest's masks.
   *
   * @returns the message that the function would send to its root port; undefined if it is masked or not enabled
   * @throws RangeError if AER was declared without this error
   */
  recordError(error: PciError): ErrorMessage | undefined;
}
