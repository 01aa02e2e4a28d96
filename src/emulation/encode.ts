import { PLANES } from './access.ts';
import { alignUp } from './bits.ts';
import { type Entry, planeBits } from './entry.ts';
import type { Layout } from './layout.ts';
import { ENTRY, ENTRY_FLAG, HEADER, RULE, TABLE } from './table-format.ts';
import type { TableIndex } from './table-index.ts';

/** Writes the native table; its layout is in `table-format.ts`. */
export function encodeTable(
  entries: readonly Entry[],
  index: TableIndex,
  layout: Layout,
  blockSize: number,
): Uint8Array {
  const ruleCount = entries.reduce((count, { rules }) => count + rules.length, 0);
  const rulesAt = TABLE.headerSize + TABLE.entrySize * entries.length;
  const directoryAt = rulesAt + TABLE.ruleSize * ruleCount;
  const pagesAt = directoryAt + alignUp(2 * index.directory.length, 8);
  const bytes = new Uint8Array(pagesAt + 2 * index.pages.length);
  const view = new DataView(bytes.buffer);
  const header: readonly (readonly [number, number])[] = [
    [HEADER.magic, TABLE.magic],
    [HEADER.version, TABLE.version],
    [HEADER.entryCount, entries.length],
    [HEADER.ruleCount, ruleCount],
    [HEADER.directoryCount, index.directory.length],
    [HEADER.indexPageCount, (2 * index.pages.length) / TABLE.indexPageSize],
    [HEADER.blockSize, blockSize],
    [HEADER.memorySize, layout.memorySize],
    [HEADER.lockOffset, layout.lockOffset],
    [HEADER.stageOffset, layout.stageOffset],
  ];
  for (const [at, value] of header) view.setUint32(at, value, true);
  let rule = 0;
  for (const entry of entries) {
    encodeEntry(view, TABLE.headerSize + TABLE.entrySize * entry.position, entry, rule);
    for (const { lockWord, mask, bits } of entry.laidOut.rules) {
      const at = rulesAt + TABLE.ruleSize * rule++;
      view.setUint32(at + RULE.lockWord, lockWord, true);
      view.setUint32(at + RULE.mask, mask, true);
      view.setBigUint64(at + RULE.bits, bits, true);
    }
  }
  index.directory.forEach((page, i) => {
    view.setUint16(directoryAt + 2 * i, page, true);
  });
  index.pages.forEach((slot, i) => {
    view.setUint16(pagesAt + 2 * i, slot, true);
  });
  return bytes;
}

function encodeEntry(view: DataView, at: number, entry: Entry, firstRule: number): void {
  const { laidOut } = entry;
  const flags =
    (entry.trapRead ? ENTRY_FLAG.trapRead : 0) |
    (entry.trapWrite ? ENTRY_FLAG.trapWrite : 0) |
    (entry.shared ? ENTRY_FLAG.shared : 0) |
    (entry.commitLast ? ENTRY_FLAG.commitLast : 0);
  const widths = (laidOut.register.options.widths ?? []).reduce((bits, width) => bits | (1 << Math.log2(width)), 0);
  view.setUint32(at + ENTRY.offset, entry.offset, true);
  view.setUint8(at + ENTRY.size, entry.size);
  view.setUint8(at + ENTRY.flags, flags);
  view.setUint8(at + ENTRY.widths, widths);
  view.setUint8(at + ENTRY.ruleCount, laidOut.rules.length);
  view.setUint32(at + ENTRY.firstRule, firstRule, true);
  view.setUint32(at + ENTRY.stageIndex, laidOut.stageIndex, true);
  PLANES.forEach((plane, i) => {
    view.setBigUint64(at + ENTRY.planes + 8 * i, planeBits(laidOut, plane), true);
  });
}
