import type { Server } from '../spec/server.ts';
import { Command, joined, longs, words } from '../spec/wire.ts';
import type { Draft } from './generate.ts';
import { dmaMap, draftUnmapDirty, remapped, transferTo } from './generate-dma.ts';
import type { Random } from './random.ts';

const PAGE = 4096n;
const GET = 1 << 16;
const SET = 1 << 17;
const PROBE = 1 << 18;

/** DEVICE_FEATURE: dirty pages, and what there is not. */
export function feature(random: Random, server: Server): readonly Draft[] {
  const logging = server.device.memory.dirty.page !== 0n;
  const { maps } = server.device.memory;
  if (maps.length === 0 && !random.oneIn(8)) return [...dmaMap(random, server), ...dmaMap(random, server)];
  if (!logging && !random.oneIn(8)) return [startLogging(random)];
  if (random.oneIn(2)) return writtenAndReported(random, server);
  switch (random.below(8)) {
    case 0:
      return [startLogging(random)];
    case 1:
      return [random.oneIn(2) ? startLogging(random) : draft(7 | SET, random.bytes(random.pick([0, 0, 8])), 0, 'stop')];
    case 2:
      return [anything(random)];
    default:
      return [reportLogging(random, server)];
  }
}

function startLogging(random: Random): Draft {
  const pageSize = random.weighted([
    [12, PAGE],
    [6, 2n * PAGE],
    [1, PAGE / 2n],
    [1, 0n],
    [1, 3n * PAGE],
    [1, 1n << 63n],
  ] as const);
  const count = random.weighted([
    [14, 0],
    [6, 1],
    [4, 2],
    [1, 3],
    [1, 257],
  ] as const);
  const ranges = Array.from({ length: count }, (_, n) => {
    const first = count === 257 ? BigInt(n) * 2n * PAGE : BigInt(random.below(7)) * 2n * PAGE;
    const size =
      BigInt(
        random.weighted([
          [6, 2],
          [3, 4],
          [1, 1],
          [1, 0],
        ] as const),
      ) * PAGE;
    return longs(random.oneIn(40) ? (1n << 64n) - PAGE : first, size);
  });
  const told = random.oneIn(20) ? count + 1 : count;
  return draft(
    6 | SET,
    joined(longs(pageSize), words(told, 0), ...ranges),
    0,
    `start logging, pages of ${pageSize}, ${count} ranges`,
  );
}

function reportLogging(random: Random, server: Server): Draft {
  const { maps } = server.device.memory;
  const map = maps.length > 0 && !random.oneIn(4) ? random.pick(maps) : undefined;
  const pageSize = random.weighted([
    [10, PAGE],
    [2, 2n * PAGE],
    [2, PAGE / 2n],
    [1, 8n * PAGE],
    [1, 0n],
    [1, 100n],
  ] as const);
  const first = map?.first ?? BigInt(random.below(12)) * PAGE;
  const whole = map === undefined ? BigInt(random.between(1, 6)) * PAGE : map.last - map.first + 1n;
  const size = whole > 64n * PAGE ? 64n * PAGE : whole;
  const at = random.oneIn(8) ? first + random.pick([1n, PAGE / 2n, PAGE]) : first;
  const length = random.oneIn(8) ? random.pick([0n, size + PAGE, size - 1n, (1n << 64n) - 1n]) : size;
  const room = random.weighted([
    [8, 4096],
    [1, 39],
    [1, 40],
    [1, 32],
  ] as const);
  return draft(
    8 | GET,
    longs(at, length, pageSize),
    room,
    `report [0x${at.toString(16)}, +0x${length.toString(16)}) in pages of ${pageSize}`,
  );
}

function anything(random: Random): Draft {
  const index = random.pick([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 0xffff]);
  const flags = random.pick([
    0,
    GET,
    SET,
    GET | SET,
    PROBE,
    PROBE | GET,
    PROBE | SET,
    PROBE | GET | SET,
    GET | (1 << 19),
  ]);
  return draft(
    index | flags,
    random.bytes(random.pick([0, 8, 16, 24, 40])),
    random.pick([0, 8, 64, 7]),
    `feature ${index} flags 0x${flags.toString(16)}`,
  );
}

/** The device writes to a map, which is then reported. */
function writtenAndReported(random: Random, server: Server): readonly Draft[] {
  const { maps } = server.device.memory;
  const map = maps.length > 0 ? random.pick(maps) : undefined;
  if (map === undefined) return [reportLogging(random, server)];
  const whole = map.last - map.first + 1n;
  const size = whole > 64n * PAGE ? 64n * PAGE : whole;
  const pageSize = random.weighted([
    [8, PAGE],
    [2, 2n * PAGE],
    [2, PAGE / 2n],
  ] as const);
  const report = draft(
    8 | GET,
    longs(map.first, size, pageSize),
    4096,
    `report [0x${map.first.toString(16)}, +0x${size.toString(16)})`,
  );
  const part = (first: bigint, length: bigint): Draft =>
    draft(8 | GET, longs(first, length, PAGE), 4096, `report [0x${first.toString(16)}, +0x${length.toString(16)})`);
  const ends = random.weighted<readonly Draft[]>([
    // A page of the log that is reported in two parts.
    [2, [part(map.first, PAGE), part(map.first & ~(2n * PAGE - 1n), 2n * PAGE)]],
    [3, [report]],
    [2, [draftUnmapDirty(random, map.first, whole)]],
    // Its bits go with a map, or stay where they are tracked by address.
    [2, [...remapped(map), report]],
  ]);
  return [...transferTo(random, map), ...ends];
}

/** @param room argsz, if that is more than the body has. */
function draft(flags: number, data: Uint8Array, room: number, what: string): Draft {
  return {
    command: Command.deviceFeature,
    body: joined(words(Math.max(room, 8 + data.length), flags), data),
    what: `DEVICE_FEATURE ${what}`,
  };
}
