import { expect, test } from 'vitest';

import { AddressSpace } from '../../../src/mdev/index.ts';
import { connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { CONFIG } from '../support/guest.ts';
import { svaCard, SvaAt } from '../support/sva-card.ts';

const EXTENDED_CAPABILITIES = [0x100, 0x110, 0x120];

test('a server shows no PASIDs and no page requests, and refuses to without a word of who creates the instance', async () => {
  const hidden = await svaCard({ platform: { pasid: 'hidden' } });
  expect(hidden.device.platform.hiddenCapabilities).toEqual(['ATS', 'PASID', 'PRI']);
  const [near, far] = socketPair();
  const server = serve(hidden.device, { fd: far });
  const client = await connect({ fd: near });
  for (const offset of EXTENDED_CAPABILITIES) {
    expect([...(await client.readRegion(CONFIG, offset, 16))].slice(4)).toEqual(Array<number>(12).fill(0));
  }
  await client.writeRegion(CONFIG, SvaAt.pasidControl, Uint8Array.of(1, 0));
  expect([...(await client.readRegion(CONFIG, SvaAt.pasidControl, 2))]).toEqual([0, 0]);
  expect(await hidden.sva.pageRequest({ pasid: 1, iova: 0n })).toBe('failure');
  await client.close();
  await server.closed;

  const { device } = await svaCard();
  const [one, other] = socketPair();
  expect(() => serve(device, { fd: one })).toThrow(
    expect.objectContaining({
      code: 'EOPNOTSUPP',
      message: expect.stringContaining('shows ATS, PASID, PRI, which vfio-user does not carry') as string,
    }),
  );
  expect(() => device.attach({ name: 'client' })).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
  serve(hidden.device, { fd: one });
  (await connect({ fd: other })).close().catch(() => undefined);
});

test('a guest behind a server that is shown them all the same gets faults and refusals, at once', async () => {
  const { device, sva } = await svaCard({ platform: { pasid: 'shown' } });
  const [near, far] = socketPair();
  const server = serve(device, { fd: far });
  const client = await connect({ fd: near });
  const write = (offset: number, ...bytes: number[]) => client.writeRegion(CONFIG, offset, Uint8Array.from(bytes));
  await write(SvaAt.command, 6, 0);
  await write(SvaAt.pasidControl, 1, 0);
  await write(SvaAt.atsControl, 0, 0x80);
  await write(SvaAt.priAllocation, 8, 0, 0, 0);
  await write(SvaAt.priControl, 1, 0);
  expect([...(await client.readRegion(CONFIG, SvaAt.priControl, 2))]).toEqual([1, 0]);
  expect(await sva.pageRequest({ pasid: 1, iova: 0n })).toBe('failure');
  await expect(sva.dma(1).read(0n, new Uint8Array(1))).rejects.toMatchObject({ code: 'EFAULT' });
  await client.close();
  await server.closed;
});

test('what is hidden from everybody is hidden from a VMM in this process, too', async () => {
  const { device, sva } = await svaCard({ platform: { pasid: 'hidden' } });
  using space = new AddressSpace({ name: 'process' });
  using session = device.open({ name: 'vmm' });
  session.sync.writeRegion(CONFIG, SvaAt.command, Uint8Array.of(6, 0));
  session.sync.writeRegion(CONFIG, SvaAt.pasidControl, Uint8Array.of(1, 0));
  session.sva.attach(session.sva.allocatePasid(), space);
  session.sva.onPageRequest(() => undefined);
  await expect(sva.dma(1).read(0n, new Uint8Array(1))).rejects.toMatchObject({ code: 'EFAULT' });
  expect(await sva.pageRequest({ pasid: 1, iova: 0n })).toBe('failure');
  session.sva.detach(1);
});
