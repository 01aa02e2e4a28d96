import { DeclarationError } from '../../emulation/index.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { suggest } from '../base/suggestion.ts';

/** A whole number between two bounds, both included. */
export interface IntegerAttribute {
  readonly kind: 'integer';
  readonly minimum: number;
  readonly maximum: number;
  readonly default: number;
  readonly description: string;
}

/** On or off. */
export interface FlagAttribute {
  readonly kind: 'flag';
  readonly default: boolean;
  readonly description: string;
}

/** One word of several. */
export interface ChoiceAttribute<V extends string = string> {
  readonly kind: 'choice';
  readonly values: readonly V[];
  readonly default: V;
  readonly description: string;
}

/** What may be set when an instance is created (`--set NAME=VALUE`). */
export type Attribute = IntegerAttribute | FlagAttribute | ChoiceAttribute;
/** The attributes of a type, by name. */
export type AttributeSchema = Readonly<Record<string, Attribute>>;

type AttributeValue<A extends Attribute> = A extends IntegerAttribute
  ? number
  : A extends FlagAttribute
    ? boolean
    : A extends ChoiceAttribute<infer V>
      ? V
      : never;
/** Validated values: every attribute of the schema, defaults filled in. */
export type AttributeValues<S extends AttributeSchema = AttributeSchema> = {
  readonly [K in keyof S]: AttributeValue<S[K]>;
};
/** Values as an operator gives them: text from a command line, or the value itself. */
export type AttributeInput = Readonly<Record<string, string | number | boolean>>;

/**
 * Declares a whole-number attribute.
 * @throws `DeclarationError` when the bounds or the default make no sense.
 */
export function integer(options: Omit<IntegerAttribute, 'kind'>): IntegerAttribute {
  const { minimum, maximum, default: value } = options;
  for (const bound of [minimum, maximum, value]) {
    if (!Number.isSafeInteger(bound)) throw new DeclarationError(`integer attribute: ${bound} is not a whole number`);
  }
  if (minimum > maximum || value < minimum || value > maximum) {
    throw new DeclarationError(
      `integer attribute: the default ${value} is not within ${minimum} to ${maximum}, or the range is empty`,
    );
  }
  return { kind: 'integer', ...options };
}

/** Declares an on/off attribute. */
export function flag(options: Omit<FlagAttribute, 'kind'>): FlagAttribute {
  return { kind: 'flag', ...options };
}

/**
 * Declares an attribute that is one of several words.
 * @throws `DeclarationError` when the default is not among them.
 */
export function choice<const V extends string>(options: Omit<ChoiceAttribute<V>, 'kind'>): ChoiceAttribute<V> {
  if (!options.values.includes(options.default)) {
    throw new DeclarationError(
      `choice attribute: the default "${options.default}" is none of ${options.values.join(', ')}`,
    );
  }
  return { kind: 'choice', ...options };
}

/** What a value of the attribute looks like, for messages and help: `1 to 8`, `true or false`, `fast, slow`. */
export function expectedValues(attribute: Attribute): string {
  switch (attribute.kind) {
    case 'integer':
      return `${attribute.minimum} to ${attribute.maximum}`;
    case 'flag':
      return 'true or false';
    case 'choice':
      return attribute.values.join(', ');
  }
}

const WHOLE_NUMBER = /^(?:-?[0-9]{1,16}|0x[0-9a-f]{1,13})$/i;
const FLAGS: Readonly<Record<string, boolean>> = { true: true, false: false, on: true, off: false, 1: true, 0: false };

/** An operator's value in the attribute's own type, or undefined when it does not fit. */
export function attributeValue(
  attribute: Attribute,
  value: string | number | boolean,
): string | number | boolean | undefined {
  switch (attribute.kind) {
    case 'integer': {
      if (typeof value === 'boolean') return undefined;
      if (typeof value === 'string' && !WHOLE_NUMBER.test(value)) return undefined;
      const number = Number(value);
      return Number.isSafeInteger(number) && number >= attribute.minimum && number <= attribute.maximum
        ? number
        : undefined;
    }
    case 'flag': {
      if (typeof value === 'boolean') return value;
      const word = String(value).toLowerCase();
      return Object.hasOwn(FLAGS, word) ? FLAGS[word] : undefined;
    }
    case 'choice':
      return typeof value === 'string' && attribute.values.includes(value) ? value : undefined;
  }
}

/**
 * Checks an operator's values against a schema and fills in the defaults. Numbers may be decimal or `0x…`.
 * @param where What the values belong to, named in the message (`type dsa-cfg-v1`).
 * @throws {@link MdevError} `EINVAL` that names the attribute, the value and what was expected.
 */
export function parseAttributes<S extends AttributeSchema>(
  schema: S,
  input: AttributeInput,
  where: string,
): AttributeValues<S> {
  const attributes = Object.entries(schema);
  const known = attributes.map(([name]) => name);
  for (const name of Object.keys(input)) {
    if (!known.includes(name)) {
      throw new MdevError('EINVAL', `${where} has no attribute "${name}"${suggest(name, known)}`);
    }
  }
  const values = attributes.map(([name, attribute]) => {
    const given = Object.hasOwn(input, name) ? input[name] : undefined;
    if (given === undefined) return [name, attribute.default] as const;
    const value = attributeValue(attribute, given);
    if (value === undefined) {
      throw new MdevError(
        'EINVAL',
        `${where}: ${name} is "${String(given).slice(0, 64)}"; expected ${expectedValues(attribute)}`,
      );
    }
    return [name, value] as const;
  });
  return Object.freeze(Object.fromEntries(values)) as AttributeValues<S>;
}
