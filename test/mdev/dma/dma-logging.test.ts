import { expect, test } from 'vitest';

import { type DmaLimits, VfioError } from '../../../src/mdev/index.ts';
import { memoryFile } from '../../../src/native/binding.ts';
import { acmeInstance } from '../support/acme.ts';
import { errnoOf, Guest } from '../support/guest.ts';

const PAGE = 4096n;
const [ENOENT, EINVAL, ENOSPC, E2BIG, EOVERFLOW] = [2, 22, 28, 7, 75];

async function tracked(dma?: DmaLimits) {
  const { device, context } = await acmeInstance(undefined, { ...(dma && { dma }) });
  const guest = new Guest(device);
  const memory = memoryFile(32 * 4096);
  const map = (iova: bigint, size: bigint, offset = 0n): number =>
    guest.dmaMap({ iova, size, readable: true, writable: true, fd: memory.fd, offset });
  const report = (iova: bigint, size: bigint, pageSize = PAGE): number | number[] => {
    try {
      return bits(logging.report({ iova, size }, pageSize));
    } catch (error) {
      if (error instanceof VfioError) return error.errno;
      throw error;
    }
  };
  const logging = guest.session.sync.dmaLogging;
  return { session: guest.session.sync, logging, context, map, report };
}

function bits(bitmap: Uint8Array): number[] {
  return Array.from({ length: bitmap.length * 8 }, (_, bit) => bit).filter(
    (bit) => ((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1,
  );
}

test("what a backend writes and copies is reported once, in the client's page size", async () => {
  const { context, logging, map, report } = await tracked();
  expect(map(0x10_0000n, 32n * PAGE)).toBe(0);
  await context.dma.write(0x10_0000n, new Uint8Array(8));
  expect(logging.start(PAGE / 8n, [{ iova: 0x10_0000n, size: 32n * PAGE }])).toBe(PAGE);
  await context.dma.write(0x10_2ffcn, new Uint8Array(8));
  await context.dma.copy(0x10_0000n, 0x10_8000n, 3 * 4096);
  await context.dma.read(0x11_0000n, new Uint8Array(8));
  expect(report(0x10_0000n, 32n * PAGE)).toEqual([2, 3, 8, 9, 10]);
  expect(report(0x10_0000n, 32n * PAGE)).toEqual([]);
  await context.dma.write(0x10_9000n, new Uint8Array(1));
  expect(report(0x10_8000n, 4n * PAGE, 2n * PAGE)).toEqual([0]);
  logging.stop();
  expect(report(0x10_0000n, PAGE)).toBe(EINVAL);
});

test('an unmap reports what was written last', async () => {
  const { context, logging, map, report } = await tracked();
  expect(map(0n, 4n * PAGE)).toBe(0);
  expect(logging.start(PAGE)).toBe(PAGE);
  await context.dma.write(0x3000n, new Uint8Array(1));
  expect(bits(logging.unmap({ iova: 0n, size: 4n * PAGE }, PAGE))).toEqual([3]);
  expect(report(0n, 4n * PAGE)).toBe(ENOENT);
});

test('ranges are checked before anything is tracked', async () => {
  const { logging } = await tracked();
  const start = (pageSize: bigint, ...ranges: { iova: bigint; size: bigint }[]): number =>
    errnoOf(() => logging.start(pageSize, ranges));
  expect(start(3n)).toBe(EINVAL);
  expect(start(-1n)).toBe(EINVAL);
  expect(start(PAGE, { iova: 0n, size: 0n })).toBe(EINVAL);
  expect(start(PAGE, { iova: (1n << 64n) - PAGE, size: 2n * PAGE })).toBe(EOVERFLOW);
  const many = Array.from({ length: 257 }, (_, index) => ({ iova: BigInt(index) * 2n * PAGE, size: PAGE }));
  expect(start(PAGE, ...many)).toBe(E2BIG);
  expect(start(PAGE, ...many.slice(1))).toBe(0);
  expect(errnoOf(() => logging.report({ iova: 0n, size: 1n << 50n }, 1n))).toBe(EINVAL);
  expect(errnoOf(() => logging.report({ iova: 0n, size: 0n }, PAGE))).toBe(EINVAL);
});

test("an instance's limits hold for its clients", async () => {
  const windows = [
    { first: 0n, last: 0xfedf_ffffn },
    { first: 0x1_0000_0000n, last: 0xffff_ffffn + (1n << 40n) },
  ];
  const { session, map } = await tracked({ maxMappings: 2, pageSizes: 0x4000n, windows, maxDirtyLogBytes: 65_536 });
  expect(session.dmaInfo()).toEqual({ pageSizes: 0x4000n, windows, mappingsAvailable: 2n, maxDirtyLogBytes: 65_536n });
  expect(map(PAGE, 0x4000n)).toBe(EINVAL);
  expect(map(0n, PAGE)).toBe(EINVAL);
  expect(map(0xfedf_c000n, 0x8000n)).toBe(EINVAL);
  expect(map(0xfee0_0000n, 0x4000n)).toBe(EINVAL);
  expect(map(0xfedf_c000n, 0x4000n)).toBe(0);
  expect(map(0x1_0000_0000n, 0x4000n)).toBe(0);
  expect(map(0x1_0000_4000n, 0x4000n)).toBe(ENOSPC);
  expect(session.dmaInfo().mappingsAvailable).toBe(0n);
  session.dmaUnmapAll();
  expect(session.dmaInfo().mappingsAvailable).toBe(2n);
});

test.each([
  ['no page size', { pageSizes: 0n }],
  ['pages below 4 KiB', { pageSizes: 0x1200n }],
  ['no window', { windows: [] }],
  ['windows that overlap', { windows: [0n, 1n].map((first) => ({ first, last: 10n })) }],
  ['a window beyond 64 bits', { windows: [{ first: 0n, last: 1n << 64n }] }],
  ['half a map', { maxMappings: 0.5 }],
  ['no map', { maxMappings: 0 }],
])('an operator who sets %s is told so', async (_, wrong) => {
  const dma = { maxMappings: 1, pageSizes: PAGE, windows: [{ first: 0n, last: 10n }], maxDirtyLogBytes: 1, ...wrong };
  await expect(tracked(dma)).rejects.toMatchObject({
    code: 'EINVAL',
    message: expect.stringContaining('dma.') as string,
  });
});
