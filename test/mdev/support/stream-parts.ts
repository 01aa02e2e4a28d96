/** A stream of a device's state by its format alone (src/mdev/migration/stream-format.ts), to read and to change it as another release would have it. */

type ListedSection = readonly [name: string, size: number, mark?: string];

export interface StreamParts {
  /** All of the header but its sections. */
  header: Record<string, unknown>;
  early: Uint8Array | undefined;
  /** In the order of the stream. */
  sections: StreamSection[];
  payload: Uint8Array;
}

interface StreamSection {
  name: string;
  bytes: Uint8Array;
  mark?: string | undefined;
}

const FRONT = 16;

export function takeApart(stream: Uint8Array): StreamParts {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const headerEnd = FRONT + view.getUint32(8, true);
  const { sections: listed, ...header } = JSON.parse(Buffer.from(stream.subarray(FRONT, headerEnd)).toString()) as {
    sections: ListedSection[];
  };
  const records = new Map<number, Uint8Array>();
  for (let at = headerEnd; at < stream.length;) {
    const size = Number(view.getBigUint64(at + 8, true));
    records.set(view.getUint32(at, true), stream.slice(at + FRONT, at + FRONT + size));
    at += FRONT + size;
  }
  const [state = new Uint8Array(0), payload = new Uint8Array(0)] = [records.get(2), records.get(3)];
  let at = 0;
  const sections = listed.map(([name, size, mark]) => ({ name, mark, bytes: state.slice(at, (at += size)) }));
  return { header, early: records.get(1), sections, payload };
}

function putTogether({ early, header, payload, sections }: StreamParts): Uint8Array {
  const listed = sections.map(({ bytes, mark, name }) => [name, bytes.length, ...(mark === undefined ? [] : [mark])]);
  const text = Buffer.from(JSON.stringify({ ...header, sections: listed }));
  const front = Buffer.alloc(FRONT);
  front.writeUInt32LE(0x7665646d, 0);
  front.writeUInt32LE(1, 4);
  front.writeUInt32LE(text.length, 8);
  const state = Buffer.concat(sections.map(({ bytes }) => bytes));
  return Buffer.concat([
    front,
    text,
    ...(early === undefined ? [] : record(1, early)),
    ...record(2, state),
    ...record(3, payload),
  ]);
}

function record(kind: number, data: Uint8Array): readonly Uint8Array[] {
  const front = Buffer.alloc(FRONT);
  front.writeUInt32LE(kind, 0);
  front.writeBigUInt64LE(BigInt(data.length), 8);
  return [front, data];
}

/** The stream with a part of it changed. */
export function changed(stream: Uint8Array, change: (parts: StreamParts) => void): Uint8Array {
  const parts = takeApart(stream);
  change(parts);
  return putTogether(parts);
}
