import { expect, it } from 'vitest';

import { IrqLines } from '../../../src/mdev/vfio/irq-lines.ts';
import { signalFd } from '../../../src/native/binding.ts';
import { type Deferred, deferred } from '../../../src/mdev/base/deferred.ts';
import { until } from '../../vfio-user/support/bench.ts';

/** What a device has for one vector, and what it was asked. It answers in order, when it is told to. */
class Vector {
  /** The eventfd it signals; -1: none. */
  fd = -1;
  readonly #unanswered: { readonly answer: Deferred; readonly fd: number; reject: (error: Error) => void }[] = [];
  readonly lines = new IrqLines(({ eventfds }) => {
    const answer = deferred();
    return new Promise((resolve, reject) => {
      void answer.promise.then(resolve);
      this.#unanswered.push({ answer, fd: eventfds?.[0] ?? -1, reject });
    });
  });

  async answer(refused = false): Promise<void> {
    const request = this.#unanswered.shift();
    if (request === undefined) throw new Error('nothing was asked');
    if (refused) request.reject(new Error('refused'));
    else {
      this.fd = request.fd;
      request.answer.resolve();
    }
    await new Promise(setImmediate);
  }

  get asked(): number {
    return this.#unanswered.length;
  }

  open(listener: (count: number) => void = () => undefined) {
    return this.lines.open(2, 1, listener);
  }
}

it('a later line takes a vector over, and the end of the earlier one does not silence it', async () => {
  const vector = new Vector();
  const opening = vector.open();
  await vector.answer();
  const older = await opening;
  let fired = 0;
  const next = vector.open((count) => (fired += count));
  // While the later one is on its way, too.
  await older.close();
  expect(vector.asked).toBe(1);
  await vector.answer();
  const newer = await next;
  signalFd(vector.fd);
  await until(() => fired === 1, 'the newer line');
  const closing = newer.close();
  await vector.answer();
  await closing;
  expect(vector.fd).toBe(-1);
  await newer.close();
  expect(vector.asked).toBe(0);
});

it('a line that is refused leaves the vector to the one before it', async () => {
  const vector = new Vector();
  let fired = 0;
  const opening = vector.open((count) => (fired += count));
  await vector.answer();
  const older = await opening;
  const refused = [vector.open(), vector.open()].map((line) => expect(line).rejects.toThrow('refused'));
  await vector.answer(true);
  await vector.answer(true);
  await Promise.all(refused);
  signalFd(vector.fd);
  await until(() => fired === 1, 'the older line');
  const closing = older.close();
  await vector.answer();
  await closing;
  expect(vector.fd).toBe(-1);
});

it('a line that was closed while one was refused behind it has no eventfd any more', async () => {
  const vector = new Vector();
  const opening = vector.open();
  await vector.answer();
  const older = await opening;
  const refused = expect(vector.open()).rejects.toThrow('refused');
  await older.close();
  await vector.answer(true);
  await vector.answer();
  await refused;
  expect(vector.fd).toBe(-1);
});

it('vectors are apart', async () => {
  const asked: (readonly number[] | undefined)[] = [];
  const lines = new IrqLines(({ eventfds, index, start }) => {
    asked.push([index, start ?? 0, ...(eventfds ?? []).map((fd) => Math.min(fd, 0))]);
    return Promise.resolve();
  });
  const [one, other] = [await lines.open(2, 1, () => undefined), await lines.open(1, 1, () => undefined)];
  await one.close();
  await other.close();
  expect(asked).toEqual([
    [2, 1, 0],
    [1, 1, 0],
    [2, 1, -1],
    [1, 1, -1],
  ]);
});
