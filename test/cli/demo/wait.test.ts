import { expect, it } from 'vitest';

import { within } from '../../../src/cli/demo/wait.ts';

it('waits no longer than it should and says for what', async () => {
  await expect(within(new Promise(() => undefined), 'the impossible', 20)).rejects.toThrow(
    'waited 0.02 s in vain for the impossible',
  );
});

it('gives back what came in time', async () => {
  expect(await within(Promise.resolve(7), 'seven')).toBe(7);
  await expect(within(Promise.reject(new Error('no')), 'seven')).rejects.toThrow('no');
});
