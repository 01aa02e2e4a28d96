import { MdevError } from '../errors/mdev-error.ts';

/**
 * Where an instance is in its life.
 *
 * - `created`: exists, no client.
 * - `attached`: a client holds it, and has not begun to use it.
 * - `running`: in use.
 * - `quiesced`: in use and paused; the device neither reads nor writes guest memory and raises no interrupt.
 * - `frozen`: isolated after an error; reads give all ones, writes are dropped, until it is recovered by a reset, which the
 *   next client's coming is too.
 * - `failed`: its behaviour threw; reads give all ones, writes are dropped. Only `close` leads out.
 * - `closed`: gone.
 */
export type MdevState = 'created' | 'attached' | 'running' | 'quiesced' | 'frozen' | 'failed' | 'closed';

/** What moves an instance from one state to the next. */
export type MdevTransition =
  | 'attach'
  | 'start'
  | 'detach'
  | 'quiesce'
  | 'resume'
  | 'freeze'
  /** Out of `frozen` while a client uses it. */
  | 'recover'
  /** Out of `frozen` while a client holds it that has not begun to use it. */
  | 'recoverAttached'
  /** Out of `frozen` while a client uses it and its state is being taken. */
  | 'recoverQuiesced'
  /** Out of `frozen` while no client holds it. */
  | 'recoverIdle'
  | 'fail'
  | 'close';

/** Every legal transition; what is not here is refused. */
export const LIFE_CYCLE: Readonly<Record<MdevState, Readonly<Partial<Record<MdevTransition, MdevState>>>>> = {
  created: { attach: 'attached', freeze: 'frozen', fail: 'failed', close: 'closed' },
  attached: { start: 'running', detach: 'created', freeze: 'frozen', fail: 'failed', close: 'closed' },
  running: { quiesce: 'quiesced', detach: 'created', freeze: 'frozen', fail: 'failed', close: 'closed' },
  quiesced: { resume: 'running', detach: 'created', freeze: 'frozen', fail: 'failed', close: 'closed' },
  frozen: {
    recover: 'running',
    recoverQuiesced: 'quiesced',
    recoverAttached: 'attached',
    recoverIdle: 'created',
    /** Again, during the reset that should mend it. */
    freeze: 'frozen',
    detach: 'frozen',
    fail: 'failed',
    close: 'closed',
  },
  failed: { detach: 'failed', close: 'closed' },
  closed: {},
};

/**
 * The state that follows.
 * @param who The instance, for the message.
 * @throws {@link MdevError} `EIO` out of `frozen` and `failed`, `ENODEV` out of `closed`, else `EBUSY`.
 */
export function nextState(state: MdevState, transition: MdevTransition, who: string): MdevState {
  const next = LIFE_CYCLE[state][transition];
  if (next !== undefined) return next;
  const code = state === 'closed' ? 'ENODEV' : state === 'frozen' || state === 'failed' ? 'EIO' : 'EBUSY';
  const legal = Object.keys(LIFE_CYCLE[state]).join(', ') || 'nothing';
  throw new MdevError(code, `${who} is ${state}: ${transition} is refused; possible: ${legal}`);
}
