import { describe, expect, it } from 'vitest';

import { expectCleanCopies } from './support/dmatest.ts';
import { bootGuest } from './support/guest.ts';
import { mdevDevice } from './support/server.ts';

const ITERATIONS = 100;

it('two devices in one machine copy at the same time', async () => {
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-cfg-v1' }), mdevDevice({ type: 'dsa-1dwq-v1' })],
    script: 'two.sh',
    env: { ITERATIONS },
  });
  expect(guest.part('functions')).toHaveLength(2);
  // One summary for each device's channel.
  expectCleanCopies(guest, 1, 2, ITERATIONS);
});

it('a device behind a root port', async () => {
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-cfg-v1', bus: 'port0' })],
    qemuArguments: ['-device', 'pcie-root-port,id=port0,chassis=1,slot=1'],
    script: 'copy.sh',
    env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 1 },
  });
  expect(guest.part('path').join('')).toMatch(/\/0000:00:[0-9a-f]{2}\.0\/0000:01:00\.0$/);
  // On the root bus it is an endpoint integrated into the root complex.
  expect(guest.part('lspci').join('\n')).toMatch(/Express \(v2\) Endpoint/);
  expectCleanCopies(guest, 1, 1, ITERATIONS);
});

it('loses no interrupt that is moved between processors', async () => {
  const copies = 3000;
  const guest = await bootGuest({
    devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
    script: 'affinity.sh',
    env: { ITERATIONS: copies },
  });
  expectCleanCopies(guest, 1, 1, copies);
  const taken = guest.part('interrupts').join(' ').split(' ').map(Number);
  expect(taken).toHaveLength(2);
  // A copy waits for its interrupt: none is lost, none comes twice.
  expect(taken.reduce((sum, count) => sum + count)).toBe(copies);
  expect(Math.min(...taken)).toBeGreaterThan(0);
  expect(Number(guest.part('moves')[0])).toBeGreaterThan(10);
});

describe('behind an IOMMU that translates', () => {
  it.each(['', ',scalable-mode=on'])('copies with page tables of the second stage (caching mode%s)', async (mode) => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
      qemuArguments: ['-device', `intel-iommu,intremap=on,caching-mode=on${mode}`],
      script: 'copy.sh',
      env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 1 },
      trace: ['vfio_user_dma_map', 'vfio_user_dma_unmap', 'vfio_user_recv_request'],
    });
    expect(guest.part('iommu').join('')).toMatch(/^DMA/);
    expectCleanCopies(guest, 1, 1, ITERATIONS);
    // The client maps each page that the guest maps, with a file: source and target of a copy are one page at least.
    expect(guest.traced('vfio_user_dma_map')).toBeGreaterThan(2 * ITERATIONS);
    expect(guest.traced('vfio_user_recv_request')).toBe(0);
  });

  it('copies with page tables of the first stage, which no map tells of', async () => {
    const guest = await bootGuest({
      devices: [mdevDevice({ type: 'dsa-cfg-v1' })],
      qemuArguments: ['-device', 'intel-iommu,intremap=on,caching-mode=on,scalable-mode=on,fsts=on'],
      script: 'copy.sh',
      env: { CONFIGURE: 'yes', ITERATIONS, THREADS: 1 },
      trace: ['vfio_user_dma_map', 'vfio_user_recv_request'],
    });
    expect(guest.part('iommu').join('')).toMatch(/^DMA/);
    expectCleanCopies(guest, 1, 1, ITERATIONS);
    // All maps are from before the guest's kernel. A copy reads, writes, and writes its record in two steps.
    expect(guest.traced('vfio_user_dma_map')).toBeLessThan(ITERATIONS);
    expect(guest.traced('vfio_user_recv_request')).toBeGreaterThanOrEqual(4 * ITERATIONS);
  });
});
