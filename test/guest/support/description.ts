import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseLspci } from './lspci.ts';
import type { Lspci, LspciRegion } from './lspci.ts';
import type { ServerOptions } from './server.ts';
import { runMdev } from './server.ts';

/** A field of a described register: bits `msb` to `lsb`. */
interface DescribedField {
  readonly name: string;
  readonly msb: number;
  readonly lsb: number;
  readonly access: string;
}

/** A described register. 64-bit values travel as strings. */
interface DescribedRegister {
  readonly path: string;
  /** Byte offset. */
  readonly offset: number;
  /** Bits. */
  readonly width: number;
  readonly fields: readonly DescribedField[];
  readonly reset: number | string;
}

/** What the tests read of `mdev describe --type TYPE --json`. */
export interface Description {
  readonly configSpace: {
    /** Bytes. */
    readonly size: number;
    readonly bars: readonly LspciRegion[];
    /** Extended ones have a version. */
    readonly capabilities: readonly { readonly id: number; readonly offset: number; readonly version?: number }[];
    readonly registers: readonly DescribedRegister[];
  };
}

/** Asks `mdev describe` what the device is. */
export async function describeDevice({ type, set = {} }: ServerOptions): Promise<Description> {
  const attributes = Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  return JSON.parse(await runMdev('describe', '--type', type, '--json', ...attributes)) as Description;
}

/** The configuration space as described, after reset. */
export function configImage({ configSpace }: Description): Uint8Array {
  const image = new Uint8Array(configSpace.size);
  for (const { offset, width, reset } of configSpace.registers) {
    for (let byte = 0, rest = BigInt(reset); byte < width / 8; byte++, rest >>= 8n) {
      image[offset + byte] = Number(rest & 0xffn);
    }
  }
  return image;
}

/** Where a configuration space that a guest sees differs from the description in a bit that nobody can change. */
export function readOnlyDifferences(description: Description, seen: Uint8Array): string[] {
  const expected = configImage(description);
  return description.configSpace.registers.flatMap(({ path, offset, fields }) =>
    fields
      .filter(({ access }) => access === 'ro')
      .map((field) => ({ field, a: bits(expected, offset, field), b: bits(seen, offset, field) }))
      .filter(({ a, b }) => a !== b)
      .map(({ field, a, b }) => `${path}.${field.name} at ${hex(offset)}: described ${hex(a)}, seen ${hex(b)}`),
  );
}

/** What lspci makes of a configuration space. */
export function lspciOf(image: Uint8Array): Lspci {
  const folder = mkdtempSync(join(tmpdir(), 'mdev-lspci-'));
  try {
    const rows = Array.from({ length: image.length / 16 }, (_, row) => {
      const bytes = [...image.subarray(16 * row, 16 * row + 16)].map((byte) => byte.toString(16).padStart(2, '0'));
      return `${(16 * row).toString(16).padStart(2, '0')}: ${bytes.join(' ')}`;
    });
    writeFileSync(join(folder, 'dump'), ['00:01.0 device', ...rows, ''].join('\n'));
    return parseLspci(execFileSync('lspci', ['-F', join(folder, 'dump'), '-vvv'], { encoding: 'utf8' }).split('\n'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function bits(image: Uint8Array, offset: number, { msb, lsb }: DescribedField): bigint {
  let value = 0n;
  for (let byte = msb >> 3; byte >= 0; byte--) value = (value << 8n) | BigInt(image[offset + byte] ?? 0);
  return BigInt.asUintN(msb - lsb + 1, value >> BigInt(lsb));
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
