import type { FieldDescription, RegisterDescription } from './describe.ts';
import type { FieldValue, FieldValues } from './field.ts';

/**
 * A text table of registers and fields, one line each, without a line break at the end.
 *
 * @param rows - what {@link describe} returned
 */
export function formatDescription(rows: readonly RegisterDescription[]): string {
  const digits = Math.max(2, ...rows.map(({ offset }) => offset.toString(16).length));
  const names = Math.max(0, ...rows.map(({ path }) => path.length));
  return rows
    .flatMap((row) => {
      const value = row.current ?? row.reset;
      const text = value.toString(16).padStart(row.width / 4, '0');
      const head = `${row.offset.toString(16).padStart(digits, '0')}  ${row.path.padEnd(names)}  0x${text}`;
      return [[head, ...remarks(row)].join('  '), ...row.fields.map((field) => formatField(field, digits))];
    })
    .join('\n');
}

function remarks(row: RegisterDescription): readonly string[] {
  return [
    ...(row.constant ? ['constant'] : []),
    ...(row.shared ? ['shared'] : []),
    ...(row.commit === undefined ? [] : [`commit ${row.commit}`]),
    ...(row.widths.length === 0 ? [] : [`writes of ${row.widths.join(', ')} bytes`]),
    ...(row.survives.length === 0 ? [] : [`survives ${row.survives.join(', ')} reset`]),
  ];
}

function formatField(field: FieldDescription, indent: number): string {
  const bits = field.msb === field.lsb ? `${field.msb}` : `${field.msb}:${field.lsb}`;
  const locks = field.locks.length === 0 ? '' : `  locked by ${field.locks.join(', ')}`;
  const survives = field.survives.length === 0 ? '' : `  survives ${field.survives.join(', ')} reset`;
  const value = formatValue(field.current ?? field.reset, field.values);
  return `${' '.repeat(indent + 2)}${bits.padStart(5)}  ${field.access.padEnd(3)}  ${field.name} = ${value}${locks}${survives}`;
}

function formatValue(value: FieldValue, values: FieldValues | undefined): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  const name = Object.entries(values ?? {}).find(([, named]) => named === value)?.[0];
  const text = value < 10 ? value.toString() : `0x${value.toString(16)}`;
  return name === undefined ? text : `${text} (${name})`;
}
