import { Command } from '../spec/wire.ts';
import type { Draft } from './generate.ts';
import type { Random } from './random.ts';

/** What a client may offer, and what it may not. */
const OFFERS: Readonly<Record<string, { readonly good: readonly unknown[]; readonly bad: readonly unknown[] }>> = {
  max_msg_fds: { good: [0, 1, 2, 8, 16, 1024], bad: [-1, 1025, 1.5, 'many', null] },
  max_data_xfer_size: { good: [1 << 20, 4096, 1000, 2 ** 40], bad: [0, -1, '4096', [], null] },
  max_dma_maps: { good: [3, 65_535, 1_000_000], bad: [0, -3, 0.5, {}] },
  pgsizes: { good: [4096, 4096, 4096, 0x3000, 0x5000, 0x7000, 8192, 0x200000], bad: [0, 1, 4095, 6000, 'all'] },
  migration: { good: [{ pgsize: 4096 }, {}, { pgsize: 4096, max_bitmap_size: 4096 }], bad: [true, { pgsize: 1 }, []] },
  write_multiple: { good: [true, true, false], bad: [1, 'true', null] },
  twin_socket: {
    good: [{ supported: true }, { supported: true, fd_index: 3 }, { supported: false }, {}],
    bad: [true, { supported: 1 }],
  },
  teleport: { good: [1, { a: [] }], bad: [] },
};

/** VERSION. */
export function version(random: Random): readonly Draft[] {
  const spoilt = random.oneIn(15);
  const capabilities: Record<string, unknown> = {};
  for (const [name, { good, bad }] of Object.entries(OFFERS)) {
    // Few limits, so that sequences go deep.
    const often = name === 'write_multiple' || name === 'max_msg_fds' || name === 'twin_socket';
    if (!random.oneIn(often ? 2 : 4)) continue;
    capabilities[name] = spoilt && random.oneIn(2) && bad.length > 0 ? random.pick(bad) : random.pick(good);
  }
  const minor = random.weighted([
    [8, 0],
    [4, 1],
    [1, 2],
    [1, 0xffff],
  ] as const);
  const major = random.oneIn(40) ? random.pick([1, 999]) : 0;
  const text = random.oneIn(12) ? oddText(random) : `${JSON.stringify({ capabilities })}\0`;
  const front = Uint8Array.of(major & 0xff, major >> 8, minor & 0xff, minor >> 8);
  const body = Uint8Array.of(...front, ...new TextEncoder().encode(text));
  return [{ command: Command.version, body, what: `VERSION ${major}.${minor} ${JSON.stringify(text)}` }];
}

function oddText(random: Random): string {
  return random.pick([
    '',
    '',
    '{}\0',
    '{}\0',
    '{}',
    '\0',
    '[]\0',
    '{"capabilities":null}\0',
    '{"capabilities":[]}\0',
    '{\0',
    '1\0',
    '{}\0{}\0',
  ]);
}
