import { expect, it } from 'vitest';

import { MigrationState, VfioError } from '../../../src/mdev/index.ts';
import { counter } from '../support/migratable.ts';

it('an error number of a vendor’s own file is no answer of its device', async () => {
  const source = await counter();
  await using vmm = source.device.open({ name: 'test VMM' });
  source.quiescing = Promise.reject(Object.assign(new Error('no such file: /etc/acme'), { code: 'ENOENT' }));
  const error: unknown = await vmm.setMigrationState(MigrationState.stop).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(VfioError);
  expect(error).toMatchObject({ code: 'EIO', request: 'deviceFeature' });
});
