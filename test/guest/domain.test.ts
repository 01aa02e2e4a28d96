import { expect, it } from 'vitest';

import { expectCleanCopies } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

const ITERATIONS = 20;

/** How the range of an unmap lies to what is mapped. */
type Kind = 'exact' | 'wider' | 'nothing' | 'cut';

/** Of each unmap that QEMU traced, in order. */
function unmapsIn(trace: readonly string[]): readonly Kind[] {
  const maps = new Map<bigint, bigint>();
  return trace.flatMap((line): readonly Kind[] => {
    const [, event, first = '', size = ''] = /^vfio_user_dma_(\w+) +iova (\w+) size (\w+)/.exec(line) ?? [];
    const [start, end] = [BigInt(first), BigInt(first) + BigInt(size)];
    if (event === 'map') {
      maps.set(start, end);
      return [];
    }
    const touched = [...maps].filter(([from, to]) => from < end && to > start);
    if (touched.some(([from, to]) => from < start || to > end)) return ['cut'];
    for (const [key] of touched) maps.delete(key);
    if (touched.length === 0) return ['nothing'];
    const [[from, to] = []] = touched;
    return [touched.length === 1 && from === start && to === end ? 'exact' : 'wider'];
  });
}

// What decision 15 says of QEMU.
it('a device is taken out of its domain behind an IOMMU, and put back: unmaps take whole maps, or nothing', async () => {
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
    qemuArguments: ['-device', 'intel-iommu,intremap=on,caching-mode=on'],
    script: 'domain.sh',
    env: { ITERATIONS },
    reboot: true,
    trace: ['vfio_user_dma_map', 'vfio_user_dma_unmap'],
  });
  expect(guest.parts('domain')).toEqual([['DMA'], ['identity'], ['DMA'], ['DMA']]);
  expectCleanCopies(guest, 4, 1, ITERATIONS);
  const kinds = unmapsIn(guest.traceOf('vfio_user_dma_map', 'vfio_user_dma_unmap'));
  const count = (kind: Kind): number => kinds.filter((one) => one === kind).length;
  expect(count('cut')).toBe(0);
  // Each page by itself while the guest uses it; and the whole address space by powers of two, over what is left of it, which is mostly nothing.
  expect(count('exact')).toBeGreaterThan(2 * ITERATIONS);
  expect(count('wider')).toBeGreaterThan(0);
  expect(count('nothing')).toBeGreaterThan(20);
});
