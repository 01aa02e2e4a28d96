import { bitMask } from '../bits.ts';
import type { Registers } from '../block.ts';
import { DeclarationError } from '../declaration-error.ts';
import type { Register } from '../register.ts';

/** The same registers, but that the guest reads zeros and changes nothing; the device's side finds zeros too at first. */
export function hideRegisters(registers: Registers): Registers {
  return mapRegisters(registers, (register) => hideFields(register, Object.keys(register.fields)));
}

/**
 * The same registers without one field, as {@link hideRegisters} hides all of them.
 *
 * @param path - `DEVCAP.functionLevelReset`, with the names of groups and arrays in front
 * @param where - what goes in front of the path in errors
 * @throws {@link DeclarationError} if there is no such field
 */
export function hideField(registers: Registers, path: string, where: string): Registers {
  const [name = '', ...rest] = path.split('.');
  const item = Object.hasOwn(registers, name) ? registers[name] : undefined;
  if (item === undefined) throw new DeclarationError(`${where}: there is no ${name}`);
  const inner = rest.join('.');
  switch (item.kind) {
    case 'group':
      return { ...registers, [name]: { ...item, registers: hideField(item.registers, inner, where) } };
    case 'array': {
      const element = hideField(item.element, inner, where) as typeof item.element;
      return { ...registers, [name]: { ...item, element } };
    }
    case 'register':
      if (!Object.hasOwn(item.fields, inner)) throw new DeclarationError(`${where}: there is no field ${inner}`);
      return { ...registers, [name]: hideFields(item, [inner]) };
  }
}

function mapRegisters<R extends Registers>(registers: R, map: (register: Register) => Register): R {
  const mapped = Object.entries(registers).map(([name, item]): [string, Registers[string]] => {
    if (item.kind === 'register') return [name, map(item)];
    if (item.kind === 'group') return [name, { ...item, registers: mapRegisters(item.registers, map) }];
    return [name, { ...item, element: mapRegisters(item.element, map) }];
  });
  return Object.fromEntries(mapped) as R;
}

function hideFields(register: Register, names: readonly string[]): Register {
  const fields = { ...register.fields };
  let reset = BigInt(register.options.reset ?? 0);
  for (const name of names) {
    const field = fields[name];
    if (field === undefined) continue;
    fields[name] = { ...field, access: 'none' };
    reset &= ~bitMask(field.msb, field.lsb);
  }
  return { ...register, fields, options: { ...register.options, reset } };
}
