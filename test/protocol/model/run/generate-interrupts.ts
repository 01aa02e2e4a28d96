import { Irq } from '../spec/interrupts.ts';
import { At, Config, MSI_VECTORS, Region } from '../spec/layout.ts';
import type { Server } from '../spec/server.ts';
import { Command, words } from '../spec/wire.ts';
import { LINES } from '../spec/world.ts';
import type { Draft } from './generate.ts';
import { draftIrqs, IrqFlag } from './generate-irqs.ts';
import { write } from './generate-regions.ts';
import type { Random } from './random.ts';

const { none, eventfd, mask, unmask, trigger } = IrqFlag;
const command = (value: number): Draft => write(Region.config, Config.command, words(value).slice(0, 2));
const line = (level: number): Draft => write(Region.bar0, At.line, words(level));
const RESET: Draft = { command: Command.deviceReset, body: new Uint8Array(0), what: 'DEVICE_RESET' };

/** Interrupts from the client's eventfd to the guest's masks, in an order in which something happens. */
export function interruptStory(random: Random, server: Server): readonly Draft[] {
  return random.oneIn(2) ? levelStory(random, server) : messageStory(random, server);
}

/** INTx is raised and masked, and what masks and unmasks it comes in any order. */
export function levelStory(random: Random, server: Server): readonly Draft[] {
  return [
    ...alone(server, Irq.intx),
    draftIrqs(eventfd | trigger, Irq.intx, 0, 1, [random.below(LINES)]),
    command(7),
    ...Array.from({ length: random.between(2, 6) }, () => levelEvent(random)).flat(),
  ];
}

/** One of them; it needs no eventfd. */
export function levelEvent(random: Random): readonly Draft[] {
  return random.pick([
    [line(1)],
    [line(1)],
    [line(0)],
    [draftIrqs(none | unmask, Irq.intx, 0, 1)],
    [draftIrqs(none | mask, Irq.intx, 0, 1)],
    [command(0x407), line(1), command(7)],
    [RESET, command(7)],
  ]);
}

/** MSI vectors that the guest masks are latched, and come when it lets them. */
function messageStory(random: Random, server: Server): readonly Draft[] {
  const masked = (bits: number): Draft => write(Region.config, Config.msiMask, words(bits));
  const raise = (): Draft => write(Region.bar0, At.raise, words(0x1000_0000 | random.below(MSI_VECTORS)));
  return [
    ...alone(server, Irq.msi),
    draftIrqs(
      eventfd | trigger,
      Irq.msi,
      0,
      MSI_VECTORS,
      Array.from({ length: MSI_VECTORS }, () => random.below(LINES)),
    ),
    command(7),
    write(Region.config, Config.msiControl, words(0x21).slice(0, 2)),
    masked(random.below(1 << MSI_VECTORS)),
    ...Array.from({ length: random.between(1, 4) }, raise),
    ...(random.oneIn(4) ? [RESET] : []),
    masked(random.oneIn(2) ? 0 : random.below(1 << MSI_VECTORS)),
  ];
}

/** Whatever else is enabled is not. */
function alone(server: Server, index: number): readonly Draft[] {
  const { enabled } = server.device.irqs;
  return enabled === undefined || enabled === index ? [] : [draftIrqs(none | trigger, enabled, 0, 0)];
}
