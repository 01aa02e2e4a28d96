import { whileReadersAreOut } from '../../native/binding.ts';
import type { DeviceLife } from './device-life.ts';
import { endsWithin } from '../base/ends-within.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { guarded } from '../base/guarded.ts';
import type { Tasks } from './tasks.ts';
import type { DeviceHold } from './device-hold.ts';

/** How long the end of an instance waits for the behaviour's `close`, and then for tasks, milliseconds. */
const CLOSE_LIMIT_MS = 2000;

/** What {@link DeviceClosing} ends. */
export interface ClosingSubject {
  readonly life: DeviceLife;
  readonly function: Pick<MdevFunction, 'core'>;
  readonly hold: Pick<DeviceHold, 'attachment' | 'detach'>;
  readonly tasks: Pick<Tasks, 'end' | 'settled'>;
  /** Cuts the function off and stops the behaviour. Must not throw. */
  isolate(): void;
  closeBehaviour(): void | Promise<void>;
  leaveGroup(): void;
}

/** The end of one instance. */
export class DeviceClosing {
  /** Resolves when the instance is closed, by whomever, with what its behaviour threw then, if it did. */
  readonly ended: Promise<unknown>;
  readonly #subject: ClosingSubject;
  #end: (failure: unknown) => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor(subject: ClosingSubject) {
    this.#subject = subject;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** See `MdevDevice.close`. */
  close(): Promise<void> {
    // A listener that is told of the close may ask for it too.
    this.#closing ??= this.#subject.life.state === 'closed' ? this.ended.then(() => undefined) : this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { function: mdevFunction, life, tasks } = this.#subject;
    // Engines leave its memory first; the thread may have other instances to serve meanwhile.
    const begun = whileReadersAreOut([mdevFunction.core], () => this.#cutOff());
    const { behaviourClosed } = begun instanceof Promise ? await begun : begun;
    const abandoned: string[] = [];
    let failure: unknown;
    try {
      if (!(await endsWithin(behaviourClosed, CLOSE_LIMIT_MS))) abandoned.push('close');
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      mdevFunction.core.close();
      abandoned.push(...(await tasks.settled(CLOSE_LIMIT_MS)));
      this.#subject.leaveGroup();
      if (abandoned.length > 0) life.tell('abandoned', abandoned);
      life.tell('closed');
      this.#end(failure);
    }
  }

  #cutOff(): { readonly behaviourClosed: Promise<void> } {
    const { hold, life, tasks } = this.#subject;
    const reason = `${life.who} is removed`;
    life.transit('close');
    const held = hold.attachment;
    hold.detach();
    guarded(() => held?.holder.onRevoked?.(reason));
    this.#subject.isolate();
    tasks.end();
    return {
      behaviourClosed: new Promise((resolve) => {
        resolve(this.#subject.closeBehaviour());
      }),
    };
  }
}
