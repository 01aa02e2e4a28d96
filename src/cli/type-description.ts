import { type ConfigSpace, describe, formatDescription } from '../emulation/index.ts';
import type { Regions } from '../mdev/index.ts';
import type { SelectedType } from './parents.ts';

/** `mdev describe --json`. */
export function descriptionAsData({ bars, block, capabilities, size }: ConfigSpace): unknown {
  return {
    configSpace: {
      size,
      bars: Object.entries(bars).map(([index, bar]) => ({
        index: Number(index),
        size: bar.size,
        width: bar.width,
        prefetchable: bar.prefetchable,
      })),
      capabilities: capabilities.map(({ id, offset, version }) => ({ id, offset, version })),
      registers: describe(block),
    },
  };
}

/** `mdev describe` as text: what the type is, its BARs and capabilities, and every register after reset. */
export function formatTypeDescription({ attributes, parent, type }: SelectedType): string {
  const { configSpace, regions } = type.declarationOf(attributes);
  return [
    `${type.id} on ${parent.name}: ${type.name}`,
    ...formatAttributes(attributes),
    '',
    `Config space: ${configSpace.size} bytes`,
    ...Object.entries(regions).map(([name, region]) => `  ${formatRegion(name, region)}`),
    ...configSpace.capabilities.map(({ id, name, offset, size, version }) => {
      const extended = version === undefined ? '' : ` version ${version}`;
      return `  [${offset.toString(16)}] ${name}: capability 0x${id.toString(16).padStart(2, '0')}${extended}, ${size} bytes`;
    }),
    '',
    'Registers of config space',
    formatDescription(describe(configSpace.block)),
    ...formatRegions(regions),
  ].join('\n');
}

function formatAttributes(attributes: Readonly<Record<string, unknown>>): readonly string[] {
  const values = Object.entries(attributes).map(([name, value]) => `${name}=${String(value)}`);
  return values.length === 0 ? [] : [`Attributes: ${values.join(' ')}`];
}

/** What is in a region, by kind. */
const CONTENTS = { mmio: 'registers', portal: 'portals', memory: 'memory', rom: 'expansion ROM' } as const;

function formatRegion(
  name: string,
  { kind, prefetchable, size, space, width }: Regions[keyof Regions] & object,
): string {
  const contents = CONTENTS[kind];
  if (space === 'io') return `${name}: ${formatSize(size)} of I/O ports, ${contents}`;
  if (!name.startsWith('bar')) return `${name}: ${formatSize(size)}, ${contents}`;
  const prefetch = prefetchable ? 'prefetchable' : 'not prefetchable';
  return `${name}: ${formatSize(size)}, ${width}-bit, ${prefetch}, ${contents}`;
}

function formatRegions(regions: Regions): readonly string[] {
  return Object.entries(regions).flatMap(([name, region]) =>
    region.kind === 'mmio' ? ['', `Registers of ${name}`, formatDescription(describe(region.block))] : [],
  );
}

/** `64 KiB`, `16 bytes`. */
export function formatSize(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value} ${units[unit] ?? ''}`;
}
