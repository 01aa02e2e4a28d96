import type { ConfigSpace } from './config-space.ts';

/** Whether a function has an interrupt pin, which is what INTx needs (PCI Local Bus Specification 3.0, 6.2.4). */
export function hasInterruptPin({ block }: Pick<ConfigSpace, 'block'>): boolean {
  const pin = block.registers['INTERRUPT_PIN'];
  return pin?.kind === 'register' && Number(pin.options.reset ?? 0) !== 0;
}
