import type { ConfigSpace, RegisterHooks } from '../../emulation/index.ts';
import { plainHooks } from '../base/plain-hooks.ts';
import { SVA_CAPABILITIES } from './sva-declaration.ts';

type CapabilityHooks = Readonly<Partial<Record<string, RegisterHooks>>>;

/**
 * The vendor's hooks of config space, and beside them those that let a device follow its guest's writes of `ATS.CONTROL`, `PASID.CONTROL` and `PRI.CONTROL`.
 *
 * @param page told when PRI.CONTROL.reset is written while page requests are disabled, after the vendor's hook.
 */
export function controlHooks(
  vendor: object,
  { capabilities }: ConfigSpace,
  page: { resetPageRequests(): void },
): object {
  const given = vendor as Readonly<Partial<Record<string, CapabilityHooks>>>;
  const merged: Record<string, CapabilityHooks | undefined> = { ...given };
  for (const name of SVA_CAPABILITIES) {
    if (!capabilities.some((capability) => capability.name === name)) continue;
    const vendors = given[name]?.['CONTROL'];
    const own = vendors === undefined ? undefined : plainHooks(vendors);
    const afterWrite: RegisterHooks['afterWrite'] = (next, previous, access) => {
      const changes = own?.afterWrite?.(next, previous, access);
      const { enable, reset } = next as unknown as { readonly enable: boolean; readonly reset?: boolean };
      if (reset === true && !enable) page.resetPageRequests();
      return changes;
    };
    merged[name] = { ...given[name], CONTROL: { ...own, afterWrite } };
  }
  return merged;
}
