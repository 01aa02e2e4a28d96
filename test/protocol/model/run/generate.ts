import type { Server } from '../spec/server.ts';
import { Command, Flag, MAX_MESSAGE } from '../spec/wire.ts';
import { LINES, UNMASKS, type Handle } from '../spec/world.ts';
import { dmaMap, dmaUnmap, transfer } from './generate-dma.ts';
import { feature } from './generate-features.ts';
import { infoRequest, reset, unknownCommand } from './generate-info.ts';
import { interruptStory } from './generate-interrupts.ts';
import { setIrqs } from './generate-irqs.ts';
import { migrate } from './generate-migration.ts';
import { accessRegion, enableFunction, writeMulti } from './generate-regions.ts';
import { version } from './generate-version.ts';
import type { Random } from './random.ts';
import type { MessageStep, Step, StreamPart } from './steps.ts';

/** What a generator of messages decides; the rest is spoilt or not by {@link spoil}. */
export interface Draft {
  readonly command: number;
  readonly body: Uint8Array;
  readonly fds?: readonly Handle[];
  /** What follows the body: a part of a stream of a migration. */
  readonly stream?: StreamPart;
  readonly what: string;
}

/** What to do next, given what the model knows. */
type Generator = (random: Random, server: Server) => readonly Draft[];

const GENERATORS = {
  info: [6, infoRequest],
  irqs: [20, setIrqs],
  story: [2, interruptStory],
  map: [10, dmaMap],
  unmap: [4, dmaUnmap],
  transfer: [9, transfer],
  access: [34, accessRegion],
  multi: [4, writeMulti],
  enable: [3, enableFunction],
  feature: [4, feature],
  migrate: [3, migrate],
  reset: [2, reset],
  unknown: [2, unknownCommand],
  version: [1, version],
} as const satisfies Readonly<Record<string, readonly [number, Generator]>>;

/** What a sequence is about: some generators have their turn more often. */
const THEMES: readonly (readonly (keyof typeof GENERATORS)[])[] = [
  [],
  ['irqs', 'access', 'story'],
  ['map', 'unmap', 'transfer'],
  ['feature'],
  ['migrate'],
  ['migrate', 'irqs', 'access'],
];
const THEME_WEIGHT = 12;
/** One message in so many has something wrong or unusual about it, beside what its generator does. */
const SPOILT = 10;

/** What decides which message comes next. */
export interface Theme {
  readonly weights: readonly (readonly [number, Generator])[];
  /** The client answers the server's requests once in so many steps. */
  readonly answers: number;
}

export function pickTheme(random: Random): Theme {
  const chosen = random.pick(THEMES);
  const names = Object.keys(GENERATORS) as (keyof typeof GENERATORS)[];
  return {
    weights: names.map((name) => {
      const [weight, generator] = GENERATORS[name];
      return [chosen.includes(name) ? (weight + 4) * THEME_WEIGHT : weight, generator];
    }),
    answers: chosen.includes('transfer') ? 5 : 14,
  };
}

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
export function next(random: Random, server: Server, theme: Theme, clientGone: boolean): readonly Step[] {
  if (clientGone) return [{ kind: 'close', client: 0 }, ...beginning(random)];
  if (random.oneIn(9)) return [{ kind: 'settle' }];
  if (random.oneIn(60)) return otherClient(random);
  if (random.oneIn(90)) return [{ kind: 'close', client: 0 }, ...beginning(random)];
  if (server.device.frozen && random.oneIn(5)) return reset(random).map(plain);
  if (random.oneIn(40)) return [{ kind: 'ring', client: 0, which: random.below(8), times: random.between(1, 3) }];
  if (random.oneIn(400)) return [brokenTwin(random)];
  if (random.oneIn(30)) return [{ kind: 'unmask', event: LINES + random.below(UNMASKS) }];
  if (server.device.dma.channel !== undefined && random.oneIn(theme.answers)) return [answer(random)];
  const drafts = random.weighted(theme.weights)(random, server);
  return drafts.flatMap((draft): readonly Step[] => {
    const step = random.oneIn(SPOILT) ? spoil(random, draft) : plain(draft);
    // What the device begins goes on when the event loop turns.
    return draft.what.startsWith('DMA:') ? [step, { kind: 'settle' }] : [step];
  });
}

function otherClient(random: Random): readonly Step[] {
  const [draft] = version(random);
  return [
    { kind: 'connect', client: 1 },
    ...(draft === undefined ? [] : [{ ...plain(draft), client: 1 }]),
    { kind: 'close', client: 1 },
  ];
}

function brokenTwin(random: Random): Step {
  return { kind: 'twin', client: 0, how: random.pick(['command', 'answer', 'size', 'fds', 'hang up']) };
}

function answer(random: Random): Step {
  const how = random.weighted([
    [30, 'right'],
    [5, 'error'],
    [1, 'count'],
    [1, 'address'],
    [1, 'short'],
    [1, 'command'],
    [1, 'stranger'],
    [1, 'elsewhere'],
  ] as const);
  return { kind: 'answer', client: 0, which: random.oneIn(3) ? random.below(20) : 0, how, byte: random.below(256) };
}

function plain({ command, body, fds = [], stream, what }: Draft): MessageStep {
  const own = ownEvents(command, body, fds);
  return {
    kind: 'message',
    client: 0,
    command,
    flags: 0,
    body,
    fds: own,
    what,
    ...(stream !== undefined && { stream }),
  };
}

/** A message with something wrong, or something unusual, about it. */
function spoil(random: Random, draft: Draft): MessageStep {
  const step = plain(draft);
  const { body } = step;
  // Anything but what it was would have to be understood as the server's.
  if (step.stream !== undefined) return { ...step, flags: random.pick([0, 0, Flag.noReply]) };
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
      return {
        ...step,
        size: random.pick([0, 1, 14, 15, 15, 16, 16, 17, 20, random.pick([MAX_MESSAGE + 1, 0xffff_ffff])]),
        fds: [],
      };
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
