import { Irq } from '../spec/interrupts.ts';
import { MSI_VECTORS, MSIX_VECTORS } from '../spec/layout.ts';
import type { Server } from '../spec/server.ts';
import { Command, joined, words } from '../spec/wire.ts';
import { LINES, type Handle } from '../spec/world.ts';
import type { Draft } from './generate.ts';
import type { Random } from './random.ts';

/** VFIO_IRQ_SET_*. */
export const IrqFlag = { none: 1, bool: 2, eventfd: 4, mask: 8, unmask: 16, trigger: 32 } as const;
const { none: NONE, bool: BOOL, eventfd: EVENTFD, mask: MASK, unmask: UNMASK, trigger: TRIGGER } = IrqFlag;
const COUNTS: Readonly<Record<number, number>> = {
  [Irq.intx]: 1,
  [Irq.msi]: MSI_VECTORS,
  [Irq.msix]: MSIX_VECTORS,
  [Irq.error]: 1,
  [Irq.request]: 1,
};

/** SET_IRQS. */
export function setIrqs(random: Random, server: Server): readonly Draft[] {
  const { enabled } = server.device.irqs;
  // What is enabled keeps the others out: mostly it is what is asked about.
  const index =
    enabled !== undefined && !random.oneIn(3)
      ? enabled
      : random.weighted([
          [3, Irq.intx],
          [3, Irq.msi],
          [5, Irq.msix],
          [2, Irq.error],
          [2, Irq.request],
          [1, 5],
          [1, 99],
        ] as const);
  const all = COUNTS[index] ?? 1;
  if (random.oneIn(8)) return [draft(TRIGGER | NONE, index, 0, 0)];
  const start = random.oneIn(12) ? random.pick([all, 0xffff_ffff, 1]) : random.below(all);
  const count = random.oneIn(12)
    ? random.pick([0, all + 1, 0xffff_ffff, 17])
    : random.between(1, Math.max(1, all - Math.min(start, all)));
  const action = random.weighted([
    [7, TRIGGER],
    [index === Irq.intx ? 3 : 1, MASK],
    [index === Irq.intx ? 4 : 1, UNMASK],
  ] as const);
  const data = random.weighted([
    [6, EVENTFD],
    [3, NONE],
    [3, BOOL],
  ] as const);
  const flags = random.oneIn(20) ? random.below(256) : action | data;
  const wanted = Math.min(count, 40);
  const few = random.oneIn(10) ? random.below(4) : wanted;
  if ((flags & EVENTFD) !== 0 && !random.oneIn(4)) {
    return [draft(flags, index, start, count, new Uint8Array(0), handles(random, few))];
  }
  const booleans =
    (flags & BOOL) === 0 ? new Uint8Array(0) : Uint8Array.from({ length: few }, () => random.pick([0, 1, 1, 7]));
  return [draft(flags, index, start, count, booleans)];
}

function handles(random: Random, count: number): readonly Handle[] {
  return Array.from({ length: count }, () =>
    random.oneIn(25)
      ? random.pick<Handle>([{ kind: 'other' }, { kind: 'memory', index: 0, writable: true }])
      : { kind: 'event', index: random.below(LINES) },
  );
}

/** SET_IRQS with eventfds by their number. */
export function draftIrqs(
  flags: number,
  index: number,
  start: number,
  count: number,
  events: readonly number[] = [],
): Draft {
  const fds = events.map((event): Handle => ({ kind: 'event', index: event }));
  return draft(flags, index, start, count, new Uint8Array(0), fds);
}

function draft(
  flags: number,
  index: number,
  start: number,
  count: number,
  data = new Uint8Array(0),
  fds: readonly Handle[] = [],
): Draft {
  return {
    command: Command.setIrqs,
    body: joined(words(20 + data.length, flags, index, start, count), data),
    fds,
    what: `SET_IRQS index ${index} flags 0x${flags.toString(16)} [${start}, +${count})`,
  };
}
