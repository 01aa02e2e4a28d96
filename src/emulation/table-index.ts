import type { Entry } from './entry.ts';
import { PAGE_SHIFT, PAGE_SIZE } from './limits.ts';
import { TABLE } from './table-format.ts';

/** From a byte offset to the register that covers it, in two levels; pages without registers are absent. */
export interface TableIndex {
  /** Index page of each 4 KiB page of the block, or 0xffff. */
  readonly directory: Uint16Array;
  /** 4,096 slots per index page: 0 where no register lives, else 1 + position of the entry. */
  readonly pages: Uint16Array;
}

/** Builds the index of a block of `size` bytes. */
export function indexOf(entries: readonly Entry[], size: number): TableIndex {
  const directory = new Uint16Array(Math.ceil(size / PAGE_SIZE)).fill(TABLE.absentPage);
  let count = 0;
  for (const { offset } of entries) {
    const page = Math.floor(offset / PAGE_SIZE);
    if (directory[page] === TABLE.absentPage) directory[page] = count++;
  }
  const pages = new Uint16Array(count * PAGE_SIZE);
  for (const { offset, size: bytes, position } of entries) {
    const start = (directory[Math.floor(offset / PAGE_SIZE)] ?? 0) * PAGE_SIZE + (offset % PAGE_SIZE);
    pages.fill(position + 1, start, start + bytes);
  }
  return { directory, pages };
}

/** The register that covers byte `at` of the block. */
export function entryAt(index: TableIndex, entries: readonly Entry[], at: number): Entry | undefined {
  const page = index.directory[at >>> PAGE_SHIFT] ?? TABLE.absentPage;
  if (page === TABLE.absentPage) return undefined;
  const slot = index.pages[(page << PAGE_SHIFT) | (at & (PAGE_SIZE - 1))] ?? 0;
  return slot === 0 ? undefined : entries[slot - 1];
}

/** Where to look on behind byte `at`, which no register covers: the next byte, or the next page behind an absent one. */
export function nextAfter(index: TableIndex, at: number): number {
  const page = at >>> PAGE_SHIFT;
  return index.directory[page] === TABLE.absentPage ? (page + 1) << PAGE_SHIFT : at + 1;
}
