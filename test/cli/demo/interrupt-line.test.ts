import { afterEach, beforeEach, expect, it } from 'vitest';

import { InterruptLine } from '../../../src/cli/demo/interrupt-line.ts';
import { signalFd } from '../../../src/native/binding.ts';

let line: InterruptLine;

beforeEach(() => {
  line = new InterruptLine(3);
});
afterEach(() => {
  line.close();
});

it('takes an interrupt that comes while it waits, and one that came before', async () => {
  const taken = line.take('Move');
  signalFd(line.fd);
  await taken;
  line.expectCount(0, 'Move');
  signalFd(line.fd);
  await line.take('Fill');
});

it('refuses two interrupts for one', async () => {
  const taken = line.take('Move');
  signalFd(line.fd);
  signalFd(line.fd);
  await expect(taken).rejects.toThrow('the number of interrupts of vector 3 after Move is 2; expected 1');
});
