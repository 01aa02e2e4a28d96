import { InvalidArgumentError } from 'commander';

/** Values of a repeated `--set NAME=VALUE` or `--platform NAME=VALUE`, by name. */
export type SetValues = Readonly<Record<string, string>>;

/**
 * Adds one `NAME=VALUE` to what was given before.
 *
 * @throws InvalidArgumentError for anything else, and for a name that comes twice
 */
export function collectSet(text: string, previous: SetValues): SetValues {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected NAME=VALUE, such as queues=2');
  const name = text.slice(0, at);
  if (Object.hasOwn(previous, name)) throw new InvalidArgumentError(`${name} is set twice`);
  return { ...previous, [name]: text.slice(at + 1) };
}
