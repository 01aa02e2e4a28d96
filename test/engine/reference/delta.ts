/** Delta records, word by word: DSA specification 8.3.8 and 8.3.9. */
import { Status } from '../support/descriptor.ts';
import { faultOf, type ReferenceMemory } from './memory.ts';
import type { Ending } from './model.ts';

const WORD = 8;
const ENTRY = 10;

export function createDelta(memory: ReferenceMemory, view: DataView, check: boolean): Ending {
  const size = view.getUint32(32, true);
  const first = Number(view.getBigUint64(16, true));
  const second = Number(view.getBigUint64(24, true));
  const record = Number(view.getBigUint64(40, true));
  const most = view.getUint32(48, true);
  const expected = view.getUint8(56);
  let written = 0;
  const success = (result: number, completed: number): Ending => {
    const status = check && ((expected >> result) & 1) === 0 ? Status.predicateFalse : Status.success;
    return { status, result, completed, extra: written };
  };
  for (let at = 0; at < size; at += WORD) {
    try {
      const before = [...memory.range(first + at, WORD)];
      const after = [...memory.range(second + at, WORD)];
      if (before.every((byte, i) => byte === after[i])) continue;
      if (written + ENTRY > most) return success(2, at);
      const offset = at / WORD;
      for (const [i, byte] of [offset & 0xff, offset >> 8, ...after].entries()) {
        memory.write(record + written + i, byte);
      }
      written += ENTRY;
    } catch (error) {
      const { address, write } = faultOf(error);
      const status = Status.pageFault | (write ? 0x80 : 0);
      return { status, result: written > 0 ? 1 : 0, completed: at, faultAddress: address, extra: written };
    }
  }
  return success(written > 0 ? 1 : 0, 0);
}

export function applyDelta(memory: ReferenceMemory, view: DataView): Ending {
  const size = view.getUint32(32, true);
  const record = Number(view.getBigUint64(16, true));
  const destination = Number(view.getBigUint64(24, true));
  const entries = Math.floor(view.getUint32(40, true) / ENTRY);
  let previous = -1;
  for (let index = 0; index < entries; index++) {
    const completed = index * ENTRY;
    try {
      const [low = 0, high = 0, ...word] = memory.range(record + completed, ENTRY);
      const offset = low | (high << 8);
      if (offset <= previous) return { status: Status.deltaOrder, completed };
      if (offset * WORD >= size) return { status: Status.deltaOffset, completed };
      memory.writeAll(destination + offset * WORD, Uint8Array.from(word));
      previous = offset;
    } catch (error) {
      const { address, write } = faultOf(error);
      return { status: Status.pageFault | (write ? 0x80 : 0), completed, faultAddress: address };
    }
  }
  return { status: Status.success };
}
