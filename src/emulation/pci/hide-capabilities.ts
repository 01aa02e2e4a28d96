import { registerBlock, type RegisterBlock, type Registers } from '../block.ts';
import { DeclarationError } from '../declaration-error.ts';
import type { Register } from '../register.ts';
import type { PlacedCapability } from './capability.ts';
import { linkCapabilities } from './capability-chain.ts';
import type { ConfigSpace } from './config-space.ts';
import { hideField } from './hidden-registers.ts';

/** What {@link hideCapabilities} takes away. */
export interface HiddenParts {
  /** Names of capabilities, such as `ATS`. */
  readonly capabilities?: readonly string[];
  /** Fields of capabilities, such as `PCIE.DEVCAP.functionLevelReset`. */
  readonly fields?: readonly string[];
}

const variants = new WeakMap<ConfigSpace, Map<string, ConfigSpace>>();
/** What a variant was made of. */
const origins = new WeakMap<ConfigSpace, { readonly config: ConfigSpace; readonly parts: HiddenParts }>();

/**
 * The same config space without some capabilities, and without some fields of others, for a platform on which these
 * cannot work. Everything else stays where it is.
 *
 * A hidden capability is not in its chain, and the guest reads zeros in its place; the first extended one leaves a null
 * capability, where its chain has to begin. A hidden field reads zero. Neither can be written by the guest. The
 * device's side still has their registers, with zeros in them, so that its code need not know what is hidden; hooks on a
 * hidden capability are not called. The same parts give the same object, so that instances share its tables.
 *
 * @throws {@link DeclarationError} if there is no such capability or field
 */
export function hideCapabilities<R extends Registers>(config: ConfigSpace<R>, parts: HiddenParts): ConfigSpace<R> {
  const origin = origins.get(config);
  const hidden = new Set([...(origin?.parts.capabilities ?? []), ...(parts.capabilities ?? [])]);
  const fields = new Set([...(origin?.parts.fields ?? []), ...(parts.fields ?? [])]);
  if (hidden.size === 0 && fields.size === 0) return config;
  const whole: ConfigSpace = origin?.config ?? config;
  const key = JSON.stringify([[...hidden].sort(), [...fields].sort()]);
  let known = variants.get(whole);
  if (known === undefined) variants.set(whole, (known = new Map<string, ConfigSpace>()));
  let variant = known.get(key);
  if (variant === undefined) {
    known.set(key, (variant = build(whole, hidden, fields)));
    origins.set(variant, { config: whole, parts: { capabilities: [...hidden], fields: [...fields] } });
  }
  return variant as unknown as ConfigSpace<R>;
}

function build(config: ConfigSpace, hidden: ReadonlySet<string>, fields: ReadonlySet<string>): ConfigSpace {
  const names = config.capabilities.map(({ name }) => name);
  const known = (name: string, what: string): void => {
    if (!names.includes(name))
      throw new DeclarationError(`hide ${what}: there is no capability ${name}, only ${names.join(', ') || 'none'}`);
  };
  for (const name of hidden) known(name, name);
  let capabilities = config.capabilities;
  for (const field of fields) {
    const [name = '', ...rest] = field.split('.');
    known(name, field);
    capabilities = capabilities.map((capability): PlacedCapability =>
      capability.name === name
        ? { ...capability, registers: hideField(capability.registers, rest.join('.'), `hide ${field}`) }
        : capability,
    );
  }
  const { groups, first } = linkCapabilities(capabilities, hidden);
  const { STATUS, CAPABILITIES_POINTER } = config.block.registers as Readonly<Record<string, Register>>;
  const block: RegisterBlock = registerBlock(config.size, {
    ...config.block.registers,
    STATUS: withReset(STATUS, first === 0 ? 0 : 1 << 4),
    CAPABILITIES_POINTER: withReset(CAPABILITIES_POINTER, first),
    ...groups,
  });
  return {
    ...config,
    block,
    capabilities: capabilities.filter(({ name }) => !hidden.has(name)),
    hidden: capabilities.filter(({ name }) => hidden.has(name)),
  };
}

function withReset(register: Register | undefined, reset: number): Register {
  if (register === undefined) throw new DeclarationError('hide: the config space has no header');
  return { ...register, options: { ...register.options, reset } };
}
