import { type ConfigSpace, DeclarationError } from '../../emulation/index.ts';
import { MAX_TIMER_MS } from '../errors/time-limit.ts';

/**
 * What a type says of shared virtual addressing (SVA): that its instances reach memory by PASID, in address spaces of a VMM in their process. How many
 * bits a PASID has, and how many pages may be asked for at a time, is what its `PASID` and `PRI` capabilities say.
 */
export interface SvaDeclaration {
  /** PASIDs that one instance may have at a time; as many as the width of its capability allows when absent. */
  readonly maxPasids?: number;
  /** Milliseconds after which a page request is refused that nobody has answered: 1 to 2^31 - 1; 10,000 when absent. */
  readonly pageRequestTimeout?: number;
}

/** What {@link SvaDeclaration} and the capabilities say together. */
export interface SvaLimits {
  /** Bits of a PASID, 1 to 20. */
  readonly pasidBits: number;
  /** PASIDs at a time. 0 is no PASID that could be had: it stands for requests without one. */
  readonly maxPasids: number;
  /** Pages that may be asked for at a time; undefined when the type cannot ask. */
  readonly pageRequestCapacity: number | undefined;
  /** Milliseconds. */
  readonly pageRequestTimeout: number;
}

/** Capabilities that say something about address translation, by name. */
export const SVA_CAPABILITIES = ['ATS', 'PASID', 'PRI'] as const;

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * What a type can do, also those parts that its platform hides.
 * @throws `DeclarationError` when it has no PASID capability, page requests without ATS, or limits that cannot be.
 */
export function svaLimits(sva: SvaDeclaration, { capabilities, hidden }: ConfigSpace): SvaLimits {
  const all = [...capabilities, ...hidden];
  const has = (name: string): boolean => all.some((capability) => capability.name === name);
  const reset = (name: string, register: string): number => {
    const found = all.find((capability) => capability.name === name)?.registers[register];
    return found?.kind === 'register' ? Number(found.options.reset ?? 0) : 0;
  };
  if (!has('PASID')) throw new DeclarationError('sva: there is no PASID capability');
  if (has('PRI') && !has('ATS')) {
    throw new DeclarationError('sva: PRI without ATS; a function asks only for pages that it cannot translate');
  }
  const pasidBits = (reset('PASID', 'CAPABILITY') >> 8) & 0x1f;
  const most = 2 ** pasidBits - 1;
  const { maxPasids = most, pageRequestTimeout = DEFAULT_TIMEOUT_MS } = sva;
  within('maxPasids', maxPasids, most);
  within('pageRequestTimeout', pageRequestTimeout, MAX_TIMER_MS);
  const pageRequestCapacity = has('PRI') ? reset('PRI', 'CAPACITY') : undefined;
  return { pasidBits, maxPasids, pageRequestCapacity, pageRequestTimeout };
}

function within(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new DeclarationError(`sva: ${name} is ${value}; expected an integer from 1 to ${most}`);
}
