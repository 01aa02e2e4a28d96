import { DeclarationError } from '../declaration-error.ts';
/**
 * The hooks of a config space: the function's own and the vendor's.
 *
 * @throws {@link DeclarationError} if both have hooks on one register
 */
export function mergeHooks(own: object, others: object, prefix = ''): object {
  const merged: Record<string, unknown> = { ...own };
  for (const [name, value] of Object.entries(others) as [string, unknown][]) {
    const mine = Object.hasOwn(own, name) ? merged[name] : undefined;
    if (mine === undefined) merged[name] = value;
    else if (isGroup(mine) && isGroup(value)) merged[name] = mergeHooks(mine, value, `${prefix}${name}.`);
    else
      throw new DeclarationError(
        `hooks: ${prefix}${name} belongs to the PCI function, which reports its changes to its host`,
      );
  }
  return merged;
}

/** Hooks of a capability, in contrast to hooks of a register, hold no functions. */
function isGroup(hooks: unknown): hooks is object {
  return (
    typeof hooks === 'object' && hooks !== null && !Object.values(hooks).some((hook) => typeof hook === 'function')
  );
}
