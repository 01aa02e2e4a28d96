import { expect, it } from 'vitest';

import { MigrationState, type VfioDevice } from '../../../src/mdev/index.ts';
import { connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { type Counter, counter, readAll, restored } from '../../mdev/support/migratable.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { TestMigration } from '../../vfio-user/support/test-migration.ts';

async function served<T>({ device }: Counter, use: (vmm: VfioDevice) => Promise<T>): Promise<T> {
  const [near, far] = socketPair();
  const server = serve(device, { fd: near });
  const client = await connect({ fd: far });
  try {
    return await use(client);
  } finally {
    await client.close();
    await server.close();
    await device.close();
  }
}

it.each([1, 63, 64, 65, 4096])('D15: a stream may be read and written in pieces of %i bytes', async (piece) => {
  const source = await counter();
  source.count = 1234;
  const stream = await served(source, async (vmm) => {
    await vmm.setMigrationState(MigrationState.stopCopy);
    return readAll(vmm, piece);
  });
  expect(stream.length).toBeGreaterThan(200);
  const target = await counter();
  await served(target, async (vmm) => {
    await restored(vmm, stream, piece);
    expect(target.count).toBe(1234);
  });
});

/** As the C implementation's sample does, which counts nothing. */
class CountingNothing extends TestMigration {
  override async write(data: Uint8Array): Promise<void> {
    await super.write(data);
    return 0 as unknown as undefined;
  }
}

it('D15: a device takes all that it is given, or throws; what its function returns says nothing', async () => {
  await using bench = new Bench();
  const migration = new CountingNothing();
  bench.device.migration = migration;
  const client = await bench.client();
  await client.setMigrationState(MigrationState.resuming);
  await client.writeMigrationData(Uint8Array.of(1, 2, 3));
  await client.writeMigrationData(Uint8Array.of(4));
  expect(migration.written).toEqual([1, 2, 3, 4]);
  await client.setMigrationState(MigrationState.running);
});
