/** A VMM in this process exchanges the memory behind its maps. */
import { constants } from 'node:os';
import { expect, it } from 'vitest';

import { Container, memoryFile } from '../../../src/mdev/index.ts';
import { acmeInstance } from '../support/acme.ts';

const PAGE = 0x1000n;
const CONFIG = 7;
const { EBADF, EINVAL, ENODEV, ENOENT } = constants.errno;

it.each(['its own maps', 'those of its container'])('a session does so in %s', async (whose) => {
  const { context, device } = await acmeInstance();
  const [before, after] = [memoryFile(0x2000), memoryFile(0x3000)];
  new Uint8Array(before.buffer).fill(1);
  new Uint8Array(after.buffer).fill(2);
  using container = new Container({ name: 'vm', model: { kind: 'map-all' } });
  const owner = { name: 'vmm' };
  using session = whose === 'its own maps' ? device.open(owner) : device.open(owner, { container });
  session.sync.writeRegion(CONFIG, 4, Uint8Array.of(6, 0));
  const sees = async (iova: bigint): Promise<number | undefined> => {
    const read = new Uint8Array(1);
    await context.dma.read(iova, read);
    return read[0];
  };
  await session.dmaMap({ iova: 0n, size: 2n * PAGE, file: before });
  await session.dmaMap({ iova: 2n * PAGE, size: PAGE, file: before });

  await session.invalidateVaddr({ iova: 0n, size: 2n * PAGE });
  await expect(sees(0n)).rejects.toMatchObject({ code: 'EFAULT' });
  expect(await sees(2n * PAGE)).toBe(1);
  const invalidated = (iova: bigint, size: bigint): Promise<void> => session.invalidateVaddr({ iova, size });
  const restored = (iova: bigint, size: bigint, file = { fd: after.fd }): Promise<void> =>
    session.restoreVaddr({ iova, size, file });
  await expect(invalidated(0n, 2n * PAGE)).rejects.toMatchObject({ errno: EINVAL });
  await expect(invalidated(9n * PAGE, PAGE)).rejects.toMatchObject({ errno: ENOENT });
  await expect(restored(0n, PAGE)).rejects.toMatchObject({ errno: EINVAL });
  await expect(restored(2n * PAGE, PAGE)).rejects.toMatchObject({ errno: EINVAL });
  await expect(restored(9n * PAGE, PAGE)).rejects.toMatchObject({ errno: ENOENT });
  await expect(restored(0n, 2n * PAGE, { fd: 1 << 30 })).rejects.toMatchObject({ errno: EBADF });
  await expect(session.restoreVaddr({ iova: 0n, size: 2n * PAGE })).rejects.toMatchObject({ errno: EINVAL });
  await expect(sees(0n)).rejects.toMatchObject({ code: 'EFAULT' });

  await session.restoreVaddr({ iova: 0n, size: 2n * PAGE, file: after, offset: PAGE });
  expect([await sees(0n), await sees(2n * PAGE)]).toEqual([2, 1]);
  session.sync.invalidateVaddr({ iova: 2n * PAGE, size: PAGE });
  await expect(sees(2n * PAGE)).rejects.toMatchObject({ code: 'EFAULT' });
  session.sync.restoreVaddr({ iova: 2n * PAGE, size: PAGE, file: after });
  expect(await sees(2n * PAGE)).toBe(2);

  await session.close();
  await expect(invalidated(0n, PAGE)).rejects.toMatchObject({ errno: ENODEV });
  await expect(restored(0n, PAGE)).rejects.toMatchObject({ errno: ENODEV });
  await device.close();
  before.close();
  after.close();
});
