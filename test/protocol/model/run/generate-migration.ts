import { State } from '../spec/migration.ts';
import type { Server } from '../spec/server.ts';
import { Command, joined, words } from '../spec/wire.ts';
import type { Draft } from './generate.ts';
import { levelEvent, levelStory } from './generate-interrupts.ts';
import { accessRegion } from './generate-regions.ts';
import type { Random } from './random.ts';
import type { StreamPart } from './steps.ts';

const GET = 1 << 16;
const SET = 1 << 17;
const CHUNKS = [0x1_0000, 0x1_0000, 4096, 1000];
const STATES = Object.values(State);

/** Migration: its states, its stream, and what is asked about them. */
export function migrate(random: Random, server: Server): readonly Draft[] {
  const { migration } = server.device;
  const { state } = migration;
  if (random.oneIn(8)) return [ask(random)];
  if (random.oneIn(6)) return cycle(random, server);
  if (migration.saving && !random.oneIn(4)) return readStream(random, migration.unread);
  if (state === State.resuming && !random.oneIn(3)) return writeStream(random, server);
  if (random.oneIn(4) && migration.complete.length > 0) return restore(random, server);
  if (random.oneIn(12)) return random.oneIn(2) ? readStream(random, 100) : writeStream(random, server);
  const target = random.oneIn(12)
    ? random.pick([State.error, 8, 0xffff_ffff])
    : random.pick([...STATES, State.running, State.running, State.stopCopy, State.stopCopy, State.preCopy]);
  return [setState(target)];
}

function setState(state: number): Draft {
  return {
    command: Command.deviceFeature,
    body: words(16, 2 | SET, state, 0),
    what: `DEVICE_FEATURE: device state ${state}`,
  };
}

function ask(random: Random): Draft {
  const index = random.pick([1, 2, 9, 12]);
  const flags = index === 12 ? SET : GET;
  const body = words(random.pick([16, 16, 15, 8]), index | flags, 0, 0);
  return { command: Command.deviceFeature, body: body.slice(0, random.pick([8, 16])), what: `DEVICE_FEATURE ${index}` };
}

/** MIG_DATA_READ, mostly to the end of what there is. */
function readStream(random: Random, unread: number): readonly Draft[] {
  const size = random.pick(CHUNKS);
  const count = random.oneIn(4) ? 1 : Math.min(Math.ceil(unread / size) + 1, 60);
  const argsz = random.oneIn(15) ? 7 : 8 + size;
  return Array.from({ length: count }, () => ({
    command: Command.migrationRead,
    body: words(argsz, size),
    what: `MIG_DATA_READ ${size}`,
  }));
}

/** MIG_DATA_WRITE of a stream that was read, all of it or a part; or of anything. */
function writeStream(random: Random, server: Server): readonly Draft[] {
  const known = server.device.migration.complete;
  if (known.length === 0 || random.oneIn(8)) {
    const data = random.bytes(random.between(64, 200));
    const size = random.oneIn(4) ? data.length + 1 : data.length;
    return [
      { command: Command.migrationWrite, body: joined(words(8 + data.length, size), data), what: 'MIG_DATA_WRITE' },
    ];
  }
  const number = random.pick(known);
  const { whole: length } = server.device.migration.lengths;
  const chunk = random.pick(CHUNKS);
  // Never inside of its front: when that is refused is the server's choice.
  const end = random.oneIn(6) ? random.between(1000, length) : length;
  const drafts: Draft[] = [];
  for (let from = 0; from < end; from += chunk) {
    const to = Math.min(from + chunk, end);
    drafts.push(writePart({ number, from, to }));
  }
  return drafts;
}

/** Saved, used, and taken back: what happened in between is undone. */
function cycle(random: Random, server: Server): readonly Draft[] {
  const { lengths, streams } = server.device.migration;
  const most = server.device.dma.channel?.maxTransfer ?? 0;
  // A client that transfers nothing cannot read a stream.
  const chunk = CHUNKS.find((size) => size <= most) ?? Math.max(most, 1);
  const parts = Array.from({ length: Math.ceil(lengths.whole / chunk) }, (_, n) => ({
    number: streams.length,
    from: n * chunk,
    to: Math.min((n + 1) * chunk, lengths.whole),
  }));
  const leveled = random.oneIn(3);
  return [
    ...(leveled ? levelStory(random, server) : []),
    setState(State.stopCopy),
    ...parts.map(() => ({
      command: Command.migrationRead,
      body: words(8 + chunk, chunk),
      what: `MIG_DATA_READ ${chunk}`,
    })),
    setState(random.pick([State.running, State.stop])),
    ...Array.from({ length: random.below(6) }, () => (leveled ? levelEvent(random) : accessRegion(random))).flat(),
    setState(State.resuming),
    ...parts.map(writePart),
    setState(random.pick([State.stop, State.running, State.preCopy])),
  ];
}

function writePart(stream: StreamPart): Draft {
  const { number, from, to } = stream;
  const body = words(8 + to - from, to - from);
  return { command: Command.migrationWrite, body, stream, what: `MIG_DATA_WRITE stream ${number} [${from}, ${to})` };
}

/** Back to what it was when it was saved. */
function restore(random: Random, server: Server): readonly Draft[] {
  return [setState(State.resuming), ...writeStream(random, server), setState(random.pick([State.stop, State.running]))];
}
