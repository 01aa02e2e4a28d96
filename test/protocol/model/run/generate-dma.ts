import { bitmapBytes } from '../spec/dirty-log.ts';
import { type GuestMap, Right } from '../spec/guest-memory.ts';
import { At, Region } from '../spec/layout.ts';
import type { Server } from '../spec/server.ts';
import { Command, joined, longs, words } from '../spec/wire.ts';
import { FILE_PAGES, type Handle } from '../spec/world.ts';
import type { Draft } from './generate.ts';
import { enableFunction, write } from './generate-regions.ts';
import type { Random } from './random.ts';

const PAGE = 4096n;
/** Guest pages that sequences use: few, so that they meet, and the last ones that there are. */
const PAGES = 12;
const TOP = (1n << 64n) - 4n * PAGE;

function address(random: Random): bigint {
  if (random.oneIn(20)) return TOP + BigInt(random.below(4)) * PAGE;
  return BigInt(random.below(PAGES)) * PAGE;
}

/** DMA_MAP. */
export function dmaMap(random: Random, server: Server): readonly Draft[] {
  const { maps } = server.device.memory;
  // The same again, or the same with another file.
  if (maps.length > 0 && random.oneIn(7)) {
    const { first, last, rights, file, offset } = random.pick(maps);
    const other = random.oneIn(3) ? random.pick<number>([0, 1]) : (file?.index ?? 0);
    const fds: readonly Handle[] = file === undefined ? [] : [{ ...file, index: other }];
    return [draftMap(first, last - first + 1n, rights, offset, fds)];
  }
  const first = address(random) + (random.oneIn(50) ? 1n : 0n);
  const pages = random.weighted([
    [6, 1n],
    [4, 2n],
    [1, 3n],
    [1, 0n],
    [1, 4n],
    [1, 1n << 31n],
  ] as const);
  const size = pages * PAGE - (random.oneIn(40) ? 1n : 0n);
  const rights = random.weighted([
    [24, 3],
    [6, Right.read],
    [6, Right.write],
    [1, 0],
    [1, 4],
    [1, 7],
  ] as const);
  if (random.oneIn(3)) return [draftMap(first, size, rights, random.oneIn(20) ? PAGE : 0n, [])];
  const index = pages > 2n ? 0 : random.below(FILE_PAGES.length);
  const free = (FILE_PAGES[index] ?? 0) - Number(pages);
  const offset =
    BigInt(random.below(free >= 0 && !random.oneIn(20) ? free + 1 : 5)) * PAGE + (random.oneIn(40) ? 8n : 0n);
  const handle = random.oneIn(25)
    ? random.pick<Handle>([{ kind: 'event', index: 0 }, { kind: 'other' }])
    : ({ kind: 'memory', index, writable: !random.oneIn(4) } as const);
  return [draftMap(first, size, rights, offset, random.oneIn(30) ? [handle, handle] : [handle])];
}

function draftMap(first: bigint, size: bigint, rights: number, offset: bigint, fds: readonly Handle[]): Draft {
  return {
    command: Command.dmaMap,
    body: joined(words(32, rights), longs(offset, first, size)),
    fds,
    what: `DMA_MAP [0x${first.toString(16)}, +0x${size.toString(16)}) rights ${rights}`,
  };
}

/** DMA_UNMAP. */
export function dmaUnmap(random: Random, server: Server): readonly Draft[] {
  const { maps } = server.device.memory;
  if (maps.length === 0 && !random.oneIn(4)) return dmaMap(random, server);
  if (random.oneIn(12)) return [draftUnmap(random.oneIn(4) ? PAGE : 0n, random.oneIn(4) ? PAGE : 0n, 2)];
  if (maps.length > 0 && !random.oneIn(4)) {
    const from = random.pick(maps);
    const to = random.oneIn(3) ? random.pick(maps) : from;
    const [first, last] = from.first <= to.first ? [from.first, to.last] : [to.first, from.last];
    const size = last - first + 1n - (random.oneIn(8) ? PAGE : 0n);
    if (random.oneIn(4)) return [draftUnmapDirty(random, first, size)];
    return [draftUnmap(first, size, random.oneIn(20) ? random.pick([1, 3, 4]) : 0)];
  }
  return [draftUnmap(address(random), BigInt(random.below(5)) * PAGE, 0)];
}

function draftUnmap(first: bigint, size: bigint, flags: number): Draft {
  return {
    command: Command.dmaUnmap,
    body: joined(words(24, flags), longs(first, BigInt.asUintN(64, size))),
    what: `DMA_UNMAP [0x${first.toString(16)}, +0x${size.toString(16)}) flags ${flags}`,
  };
}

/** A map goes and comes again. */
export function remapped({ first, last, rights, offset, file }: GuestMap): readonly Draft[] {
  const size = last - first + 1n;
  return [draftUnmap(first, size, 0), draftMap(first, size, rights, offset, file === undefined ? [] : [file])];
}

/** DMA_UNMAP that wants to know what is dirty. */
export function draftUnmapDirty(random: Random, first: bigint, size: bigint): Draft {
  const pageSize = random.weighted([
    [8, PAGE],
    [1, 2n * PAGE],
    [1, 0n],
  ] as const);
  const bytes = pageSize === 0n ? 8n : bitmapBytes(size, pageSize);
  const told = random.oneIn(12) ? random.pick([0n, bytes + 8n, (1n << 64n) - 8n]) : bytes;
  const argsz = random.oneIn(12) ? 47 : Number(40n + bytes);
  return {
    command: Command.dmaUnmap,
    body: joined(words(argsz, 1), longs(first, BigInt.asUintN(64, size), pageSize, told)),
    what: `DMA_UNMAP [0x${first.toString(16)}, +0x${size.toString(16)}) with its dirty pages`,
  };
}

/** The device is told to read or write guest memory. */
export function transfer(random: Random, server: Server): readonly Draft[] {
  const { maps, reachable } = server.device.memory;
  if (!reachable && !random.oneIn(5)) return enableFunction(random);
  const writes = random.oneIn(2);
  const fit = maps.filter(({ rights }) => (rights & (writes ? Right.write : Right.read)) !== 0);
  const choice = fit.length > 0 && !random.oneIn(8) ? fit : maps;
  const near = choice.length > 0 && !random.oneIn(10) ? random.pick(choice) : undefined;
  const base = near === undefined ? address(random) : random.oneIn(4) ? near.last - 16n : near.first;
  return copy(random, base + BigInt(random.below(64)), writes);
}

/** The device writes into a map, and perhaps beyond it. */
export function transferTo(random: Random, map: GuestMap): readonly Draft[] {
  const pages = Number((map.last - map.first + 1n) / PAGE);
  return copy(random, map.first + BigInt(random.below(Math.min(pages, 4))) * PAGE + BigInt(random.below(4096)), true);
}

function copy(random: Random, from: bigint, writes: boolean): readonly Draft[] {
  const at = BigInt.asUintN(64, from);
  const length = random.weighted([
    [6, random.below(200)],
    [2, 4096],
    [2, 0x2000],
    [1, 0],
    [1, 0xffff_ffff],
  ] as const);
  const go = (writes ? 1 : 0) | (random.below(256) << 8);
  const what = `DMA: the device ${writes ? 'writes' : 'reads'} [0x${at.toString(16)}, +${length})`;
  return [
    write(Region.bar0, At.dmaAddress, longs(at)),
    write(Region.bar0, At.dmaLength, words(length)),
    { ...write(Region.bar0, At.dmaGo, words(go)), what },
  ];
}
