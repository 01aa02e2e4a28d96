import type { Server } from '../spec/server.ts';
import { Command, Flag, MAX_MESSAGE } from '../spec/wire.ts';
import { LINES, UNMASKS, type Handle } from '../spec/world.ts';
import { dmaMap, dmaUnmap, transfer } from './generate-dma.ts';
import { feature } from './generate-features.ts';
import { infoRequest, reset, unknownCommand } from './generate-info.ts';
import { setIrqs } from './generate-irqs.ts';
import { accessRegion, enableFunction, writeMulti } from './generate-regions.ts';
import { version } from './generate-version.ts';
import type { Random } from './random.ts';
import type { MessageStep, Step } from './steps.ts';

/** What a generator of messages decides; the rest is spoilt or not by {@link spoil}. */
export interface Draft {
  readonly command: number;
  readonly body: Uint8Array;
  readonly fds?: readonly Handle[];
  readonly what: string;
}

/** What to do next, given what the model knows. */
type Generator = (random: Random, server: Server) => readonly Draft[];

const GENERATORS: readonly (readonly [number, Generator])[] = [
  [6, infoRequest],
  [20, setIrqs],
  [14, dmaMap],
  [7, dmaUnmap],
  [9, transfer],
  [34, accessRegion],
  [4, writeMulti],
  [9, feature],
  [3, enableFunction],
  [1, reset],
  [2, unknownCommand],
  [1, version],
];

/** The beginning of a sequence: mostly a client that has negotiated, with a function that is switched on. */
export function beginning(random: Random): readonly Step[] {
  const steps: Step[] = [{ kind: 'connect', client: 0 }];
  const add = (drafts: readonly Draft[], certain: boolean): void => {
    for (const draft of drafts) steps.push(certain ? plain(draft) : spoil(random, draft));
  };
  add(version(random), random.below(8) !== 0);
  if (!random.oneIn(5)) add(enableFunction(random), true);
  return steps;
}

/** What comes next. */
export function next(random: Random, server: Server, clientGone: boolean): readonly Step[] {
  if (clientGone) return [{ kind: 'close', client: 0 }, ...beginning(random)];
  if (random.oneIn(9)) return [{ kind: 'settle' }];
  if (random.oneIn(40)) return otherClient(random);
  if (random.oneIn(60)) return [{ kind: 'close', client: 0 }, ...beginning(random)];
  if (random.oneIn(30)) return [{ kind: 'unmask', event: LINES + random.below(UNMASKS) }];
  if (random.oneIn(12)) return [answer(random)];
  const drafts = random.weighted(GENERATORS)(random, server);
  const steps: Step[] = drafts.map((draft) => (random.oneIn(7) ? spoil(random, draft) : plain(draft)));
  // What the device begins ends when the event loop turns.
  return drafts.some(({ what }) => what.startsWith('DMA')) ? [...steps, { kind: 'settle' }] : steps;
}

function otherClient(random: Random): readonly Step[] {
  const [draft] = version(random);
  return [
    { kind: 'connect', client: 1 },
    ...(draft === undefined ? [] : [{ ...plain(draft), client: 1 }]),
    { kind: 'close', client: 1 },
  ];
}

function answer(random: Random): Step {
  const how = random.weighted([
    [12, 'right'],
    [3, 'error'],
    [1, 'count'],
    [1, 'address'],
    [1, 'short'],
    [1, 'command'],
    [1, 'stranger'],
  ] as const);
  return { kind: 'answer', client: 0, which: random.oneIn(3) ? random.below(20) : 0, how, byte: random.below(256) };
}

function plain({ command, body, fds = [], what }: Draft): MessageStep {
  return { kind: 'message', client: 0, command, flags: 0, body, fds: ownEvents(command, body, fds), what };
}

/** A message with something wrong, or something unusual, about it. */
function spoil(random: Random, draft: Draft): MessageStep {
  const step = plain(draft);
  const { body } = step;
  const withBody = (changed: Uint8Array): MessageStep => ({
    ...step,
    body: changed,
    fds: ownEvents(step.command, changed, step.fds),
  });
  switch (random.below(12)) {
    case 0:
      return withBody(body.slice(0, random.below(body.length + 1)));
    case 1:
      return withBody(Uint8Array.of(...body.subarray(0, 4096), ...random.bytes(random.between(1, 40))));
    case 2:
    case 3: {
      const changed = body.slice();
      if (changed.length >= 4) {
        const hostile = random.pick([0, 1, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_ffff, 9, 33]);
        new DataView(changed.buffer).setUint32(4 * random.below(Math.floor(changed.length / 4)), hostile, true);
      }
      return withBody(changed);
    }
    case 4:
    case 5:
      return { ...step, flags: Flag.noReply };
    case 6:
      return { ...step, flags: random.pick([1, 2, 15, 0x11]) };
    case 7:
      return { ...step, flags: random.pick([0x20, 0x40, 0xffff_ff40, 0x60]) };
    case 8:
      return { ...step, size: random.pick([0, 1, 15, 16, 20, MAX_MESSAGE + 1, 0xffff_ffff]), fds: [] };
    case 9:
      // Bytes of the next message become its end.
      return { ...step, size: 16 + body.length + random.pick([1, 4, 16, 40]), fds: [] };
    case 10:
      return { ...step, fds: strayFds(random) };
    default:
      return { ...step, cut: random.between(1, 15 + body.length) };
  }
}

function strayFds(random: Random): readonly Handle[] {
  const handle = (): Handle =>
    random.pick<Handle>([
      { kind: 'event', index: random.below(LINES) },
      { kind: 'memory', index: random.below(2), writable: random.oneIn(2) },
      { kind: 'other' },
    ]);
  return Array.from(
    {
      length: random.weighted([
        [6, 1],
        [2, 2],
        [1, 16],
        [1, 17],
        [1, 30],
      ] as const),
    },
    handle,
  );
}

const UNMASK = 16;

/** An eventfd that INTx is unmasked by is one that nothing is signalled with: else both would go on for ever. */
function ownEvents(command: number, body: Uint8Array, fds: readonly Handle[]): readonly Handle[] {
  if (command !== Command.setIrqs || body.length < 8) return fds;
  const unmasks = ((body[4] ?? 0) & UNMASK) !== 0;
  return fds.map((fd) => {
    if (fd.kind !== 'event') return fd;
    const index = fd.index % LINES;
    return { kind: 'event', index: unmasks ? LINES + (index % UNMASKS) : index };
  });
}
