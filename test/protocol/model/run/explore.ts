import { beginning, next, pickTheme } from './generate.ts';
import { Play } from './play.ts';
import { Random } from './random.ts';
import { type Step, stepText } from './steps.ts';
import { eventually, patience, type Vmm } from './vmm.ts';

/** A sequence on which the two sides differ. */
export interface Difference {
  readonly seed: number;
  readonly number: number;
  readonly what: string;
  /** As short as it could be made. */
  readonly steps: readonly Step[];
}

const LONGEST = 60;
const SHRINK_TRIES = 400;

/** Plays sequence `number` of `seed`. @returns how the sides differ, if they do. */
export async function explore(vmm: Vmm, seed: number, number: number): Promise<Difference | undefined> {
  vmm.renew();
  const random = new Random(seed, number);
  const play = new Play(vmm);
  const steps: Step[] = [];
  let what: string | undefined;
  const queue: Step[] = [...beginning(random)];
  const theme = pickTheme(random);
  const length = random.between(1, LONGEST);
  while (what === undefined) {
    const step = queue.shift();
    if (step === undefined) {
      if (steps.length >= length) break;
      queue.push(...next(random, play.server, theme, play.connection(0)?.ended ?? true));
      continue;
    }
    steps.push(step);
    what = await play.step(step);
  }
  what ??= await play.end();
  await play.abandon();
  if (what === undefined) return undefined;
  patience.now = patience.shorter;
  const shortest = await shrink(vmm, steps, what);
  patience.now = patience.whole;
  return { seed, number, ...shortest };
}

/** Plays given steps. */
async function replay(vmm: Vmm, steps: readonly Step[]): Promise<string | undefined> {
  vmm.renew();
  const play = new Play(vmm);
  let what: string | undefined;
  for (const step of steps) {
    what = await play.step(step);
    if (what !== undefined) break;
  }
  what ??= await play.end();
  await play.abandon();
  await eventually(() => !vmm.held);
  return what;
}

/** Leaves out what is not needed: halves first, then single steps. */
async function shrink(
  vmm: Vmm,
  steps: readonly Step[],
  what: string,
): Promise<{ readonly steps: readonly Step[]; readonly what: string }> {
  let best = steps;
  let reason = what;
  let tries = 0;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && tries < SHRINK_TRIES;) {
      const shorter = [...best.slice(0, at), ...best.slice(at + size)];
      ++tries;
      const difference = await replay(vmm, shorter);
      if (difference === undefined) {
        at += size;
      } else {
        best = shorter;
        reason = difference;
      }
    }
  }
  return { steps: best, what: reason };
}

/** What to tell people of a difference. */
export function report({ seed, number, what, steps }: Difference): string {
  const script = steps.map((step, index) => `${String(index + 1).padStart(4)}  ${stepText(step)}`).join('\n');
  return `sequence ${number} of seed ${seed}:\n${script}\n  => ${what}\n  again: npm run test:model -- --seed ${seed} --only ${number}`;
}
