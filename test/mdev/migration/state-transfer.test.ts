import { describe, expect, it } from 'vitest';

import { counter } from '../support/migratable.ts';

describe('how long a step may take', () => {
  it.each([0, -1, 0.5, NaN, 2 ** 31, Infinity])('is not %d ms, which no timer waits', async (within) => {
    const one = await counter();
    using session = one.device.open({ name: 'vmm' });
    const { transfer } = one.device;
    const refused = { code: 'EINVAL', message: `within is ${within}; expected 1 to 2147483647 milliseconds` };
    await expect(transfer?.suspend({ within })).rejects.toMatchObject(refused);
    await expect(one.device.quiesce(within)).rejects.toMatchObject({
      code: 'EINVAL',
      message: `the limit of quiesce is ${within}; expected 1 to 2147483647 milliseconds`,
    });
    expect([one.device.state, one.running]).toEqual(['running', true]);
    await transfer?.suspend();
    await expect(transfer?.save({ within })).rejects.toMatchObject(refused);
    transfer?.resume();
    expect(await session.migrationFlags()).not.toBe(0);
  });

  it('is any that a timer waits', async () => {
    const one = await counter();
    using session = one.device.open({ name: 'vmm' });
    const within = 2 ** 31 - 1;
    await one.device.transfer?.suspend({ within });
    expect((await one.device.transfer?.save({ within }))?.length).toBeGreaterThan(0);
    await one.device.quiesce(within);
    one.device.transfer?.resume();
    one.device.resume();
    expect(await session.migrationFlags()).not.toBe(0);
  });
});

describe('an instance that is frozen', () => {
  it("takes no other's state, also when it froze while it waited for one", async () => {
    const source = await counter();
    await source.device.transfer?.suspend();
    const state = (await source.device.transfer?.save()) ?? new Uint8Array(0);
    const target = await counter();
    await target.device.transfer?.suspend();
    target.device.error({ uncorrectable: 'poisonedTlp' });
    target.count = 5;
    expect(() => target.device.transfer?.restore(state)).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect([target.device.state, target.count]).toEqual(['frozen', 5]);
  });
});
