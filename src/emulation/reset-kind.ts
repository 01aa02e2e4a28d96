/** Why a device is reset: power-on, PCI function-level reset, or the device's own command. */
export type ResetKind = 'cold' | 'function' | 'software';

/** All reset kinds. */
export const RESET_KINDS: readonly ResetKind[] = ['cold', 'function', 'software'];
