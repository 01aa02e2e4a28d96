import Table from 'cli-table3';

import { type ConfigSpace, type FieldDescription, type RegisterDescription } from '../../emulation/index.ts';
import { formatSize } from '../type-description.ts';

/** One row of the table of operations. */
export interface Measured {
  readonly title: string;
  readonly bytes: number;
  /** From the first byte of the descriptor written to the interrupt taken, milliseconds. */
  readonly milliseconds: number;
  readonly status: number;
  readonly vector: number;
  readonly outcome: string;
}

/** Columns of a terminal. */
const FIELDS_WIDTH = 62;
const PLAIN = { head: [], border: [], compact: true };

/** Links of the chain of capabilities, which is told as a line of its own. */
const CHAIN = /\.(?:ID|NEXT|HEADER)$/;

/** Config space and capabilities: every register that is not 0, with its fields that are not 0. */
export function formatConfigSpace(space: ConfigSpace, rows: readonly RegisterDescription[]): string {
  const table = new Table({
    head: ['offset', 'register', 'value', 'fields that are not 0'],
    colWidths: [null, null, null, FIELDS_WIDTH],
    wordWrap: true,
    style: PLAIN,
  });
  for (const { current = 0n, fields, offset, path, width } of rows) {
    if (current === 0n || CHAIN.test(path)) continue;
    const value = current.toString(16).padStart(width / 4, '0');
    table.push([offset.toString(16).padStart(3, '0'), path, value, fields.flatMap(formatField).join(' ')]);
  }
  const bars = Object.entries(space.bars).map(
    ([index, { prefetchable, size, width }]) =>
      `BAR ${index}: ${formatSize(size)}, ${width}-bit${prefetchable ? ', prefetchable' : ''}`,
  );
  const capabilities = space.capabilities.map(
    ({ name, offset, size }) => `[${offset.toString(16)}] ${name}, ${size} bytes`,
  );
  return [table.toString(), ...bars, `Capabilities: ${capabilities.join('; ')}`].join('\n');
}

function formatField({ current, name, values }: FieldDescription): readonly string[] {
  if (current === undefined || current === false || Number(current) === 0) return [];
  if (current === true) return [name];
  const known = Object.entries(values ?? {}).find(([, value]) => value === current)?.[0];
  return [`${name}=${known ?? `0x${current.toString(16)}`}`];
}

/** The operations with their times. */
export function formatOperations(rows: readonly Measured[]): string {
  const table = new Table({
    head: ['operation', 'bytes', 'time', 'record', 'interrupt', 'result, as expected'],
    colAligns: ['left', 'right', 'right', 'left', 'left', 'left'],
    style: PLAIN,
  });
  for (const { bytes, milliseconds, outcome, status, title, vector } of rows) {
    const time = milliseconds < 1 ? `${(milliseconds * 1000).toFixed(0)} µs` : `${milliseconds.toFixed(2)} ms`;
    table.push([title, `${bytes}`, time, `status ${status}`, `vector ${vector}`, outcome]);
  }
  return table.toString();
}
