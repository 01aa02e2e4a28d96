import { type Client } from '../../../../../src/vfio-user/index.ts';
import { MigrationState, VfioIrq } from '../../../../../src/mdev/index.ts';
import { PAGE } from './guest-memory.ts';
import type { Random } from './random.ts';
import type { ServerProcess } from './server-process.ts';
import { firstDifference, LATCHED, type VirtualMachine } from './virtual-machine.ts';

const { preCopy, preCopyP2p, resuming, running, runningP2p, stop, stopCopy } = MigrationState;
const LATCHED_AT = { index: VfioIrq.msix, start: LATCHED } as const;

/** Ways for the source to its stream, and for the target from it. */
const STOPPING = [
  [stopCopy],
  [runningP2p, stop, stopCopy],
  [preCopy, stopCopy],
  [preCopy, preCopyP2p, stopCopy],
  [preCopyP2p, stopCopy],
  [runningP2p, preCopyP2p, stopCopy],
] as const;
const STARTING = [[running], [stop, running], [runningP2p, running], [stop, runningP2p, running]] as const;

/**
 * Moves a machine's device from one process to another, as a VMM does: memory while it runs and what is dirty once it has stopped, the stream, and the
 * interrupts. Everything that the protocol leaves open is chosen at random.
 *
 * @returns how many descriptors were in flight while it was stopped.
 */
export async function migrate(machine: VirtualMachine, target: ServerProcess, random: Random): Promise<number> {
  const { memory, server: source } = machine;
  await target.attach();
  const latches = random.oneIn(2);
  if (latches) {
    await source.client.setIrqs({ ...LATCHED_AT, eventfds: [-1] });
    await machine.latch();
  }
  await source.startLogging();
  memory.dirty.clear();
  target.bytes.set(source.bytes);
  if (random.oneIn(4)) await giveUp(machine, target, random);

  const path = random.pick(STOPPING);
  await target.client.setMigrationState(resuming);
  for (const [index, state] of path.entries()) {
    // The processors run up to the states of P2P.
    if (index === (path[0] === preCopy ? 1 : 0)) lastWords(machine, random);
    await source.client.setMigrationState(state);
    if (state === preCopy || state === preCopyP2p) await send(source.client, target.client, random);
    for (let round = state === preCopy ? random.below(3) : 0; round > 0; round--) {
      machine.look();
      machine.fill();
      copyPages(source, target, [...(await source.dirtyPages()), ...take(memory.dirty)]);
    }
  }
  const { inFlight } = machine;
  copyPages(source, target, [...(await source.dirtyPages()), ...take(memory.dirty)]);
  await send(source.client, target.client, random);
  const differing = firstDifference(source.bytes, target.bytes);
  if (differing >= 0) throw new Error(`page ${Math.floor(differing / PAGE)} was written, and is not in the dirty log`);

  const attachLate = latches && random.oneIn(2);
  if (attachLate) await target.client.setIrqs({ ...LATCHED_AT, eventfds: [-1] });
  for (const state of random.pick(STARTING)) await target.client.setMigrationState(state);
  machine.moveTo(target);
  if (attachLate) {
    await target.client.setIrqs({ ...LATCHED_AT, eventfds: [target.eventfds[LATCHED]?.fd ?? -1] });
  }
  machine.endHalves();
  machine.look();
  machine.fill();
  await leave(source, random);
  await machine.endDrain();
  return inFlight;
}

/** The last thing that a guest does before its processors stop. */
function lastWords(machine: VirtualMachine, random: Random): void {
  machine.look();
  if (random.oneIn(2)) machine.beginDrain();
  machine.beginHalves();
  machine.fill();
}

/** A migration that comes to nothing: the source goes on, and the target forgets what it got. */
async function giveUp(machine: VirtualMachine, target: ServerProcess, random: Random): Promise<void> {
  const { client } = machine.server;
  machine.fill();
  await client.setMigrationState(stopCopy);
  await target.client.setMigrationState(resuming);
  const part = await client.readMigrationData(random.between(1, 5000));
  await target.client.writeMigrationData(part);
  await client.setMigrationState(running);
  await target.client.reset();
}

/** What there is of the stream, in pieces of any size. */
async function send(from: Client, to: Client, random: Random): Promise<void> {
  for (;;) {
    const data = await from.readMigrationData(random.between(1, 100_000));
    if (data.length === 0) return;
    await to.writeMigrationData(data);
  }
}

function copyPages(from: ServerProcess, to: ServerProcess, pages: Iterable<number>): void {
  for (const page of pages) {
    const at = page * PAGE;
    to.bytes.set(from.bytes.subarray(at, at + PAGE), at);
  }
}

function take(pages: Set<number>): readonly number[] {
  const taken = [...pages];
  pages.clear();
  return taken;
}

/** What is done with the source, which may be the next target: it has done nothing since it stopped, and does nothing from now on. */
async function leave(source: ServerProcess, random: Random): Promise<void> {
  const late = await source.dirtyPages();
  if (late.length > 0) throw new Error(`the source has written pages ${late.join(', ')} after it had stopped`);
  await source.stopLogging();
  await source.client.dmaUnmapAll();
  switch (random.below(3)) {
    case 0:
      await source.client.reset();
      break;
    case 1:
      // A device whose client leaves goes on, and has work without memory now.
      await source.reconnect();
      await source.client.reset();
      break;
    default:
      // It is stopped when it becomes the target.
      break;
  }
}
