import { DeclarationError } from '../../emulation/index.ts';
import type { Irqs } from '../interrupts/irqs.ts';
import { type Regions, regionsOf } from './regions.ts';
import type { RegisterRegions } from './register-regions.ts';

/**
 * Gives the regions of registers the vendor's hooks, and those that the framework needs beside them.
 * @param hooks By name of the region.
 * @throws DeclarationError when they do not mirror the blocks.
 */
export function bindHooks(registers: RegisterRegions, regions: Regions, irqs: Irqs, hooks: object): void {
  const given = hooks as Readonly<Partial<Record<string, object>>>;
  const declared = regionsOf(regions);
  for (const name of Object.keys(given)) {
    if (declared.find((region) => region.name === name)?.region.kind !== 'mmio') {
      throw new DeclarationError(`hooks: ${name} is not a region with registers`);
    }
  }
  for (const { name, index, region } of declared) {
    if (region.kind !== 'mmio') continue;
    const own = irqs.tableHooks(index);
    const vendor = given[name];
    if (own !== undefined && vendor !== undefined && 'MSIX_TABLE' in vendor) {
      throw new DeclarationError(`hooks: ${name}.MSIX_TABLE belongs to the framework`);
    }
    if (own !== undefined || vendor !== undefined) {
      registers.bind(index, name, region.block, { ...vendor, ...own });
    }
  }
}
