import type { ConfigSpace } from '../emulation/index.ts';

/** Whether a function has an interrupt pin, which is what INTx needs (PCI Local Bus Specification 3.0, 6.2.4). */
export function hasInterruptPin({ block }: ConfigSpace): boolean {
  const pin = block.registers['INTERRUPT_PIN'];
  return pin?.kind === 'register' && Number(pin.options.reset ?? 0) !== 0;
}
