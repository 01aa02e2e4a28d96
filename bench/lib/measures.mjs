// What is measured: the measures (one run of the client each) and the rows of the table that their series feed.

/** VFIO index of BAR0, where the bench device has its registers (bench/devices.mjs). */
const BAR0 = 0;

/**
 * @typedef {object} Measure One run of the client in every round.
 * @property {string} name
 * @property {'echo' | 'reader' | 'registers' | 'idxd' | null} server What the client connects to; null: the measure needs neither, it
 *   runs a program of its own.
 * @property {'maps' | 'portal'} [program] That program.
 * @property {readonly string[]} client Arguments of the client, without the socket, or of the program.
 *
 * @typedef {object} Row One line of the table.
 * @property {string} name What --only selects.
 * @property {string} title
 * @property {string} measure The measure that yields it.
 * @property {string} series The series of that measure.
 * @property {string} [floor] The row that it is compared with, always part of the same run.
 * @property {string} [symbol] How a floor is named in the ratios.
 * @property {number} [bytes] Bytes per operation: the row is a bandwidth, and its ratio is the floor's time over its own.
 * @property {number} [target] Bound of the ratio: at most, for a bandwidth at least.
 */

const READ_SAMPLES = ['--samples', '10000'];
const POSTED_STREAM = ['--samples', '60', '--sends', '64', '--writes', '32'];
const POSTED_BURST = ['--samples', '2000', '--sends', '1', '--writes', '32'];

/**
 * Offsets of the bench device's registers in BAR0, which its declaration uses too.
 */
export const BENCH_REGISTERS = { TABLE: 0x00, HOOKED: 0x10 };

const tableRegister = ['--region', String(BAR0), '--offset', String(BENCH_REGISTERS.TABLE)];
const hookedRegister = ['--region', String(BAR0), '--offset', String(BENCH_REGISTERS.HOOKED), '--counts'];

/**
 * Pairs of buffers that are worked on in turn. With 64 KiB each they are 128 MiB, more than a core's caches hold: what is copied for a guest
 * seldom is in them.
 */
const ENGINE_SLOTS = 1024;

/**
 * `depth` descriptors are in flight; `group` of them share a send and a completion interrupt, or are one batch. A sample is `descriptors` long.
 *
 * @type {readonly { name: string, title: string, bytes: number, depth: number, group: number, descriptors: number, batch: boolean,
 *   slotWrites?: boolean, cached?: boolean, target?: number }[]}
 */
const ENGINE_RUNS = [
  { name: '64k', title: '64 KiB', bytes: 65_536, depth: 128, group: 64, descriptors: 1024, batch: false, target: 0.9 },
  {
    name: '64k-batch',
    title: '64 KiB in batches',
    bytes: 65_536,
    depth: 1024,
    group: 512,
    descriptors: 1024,
    batch: true,
    target: 0.9,
  },
  {
    name: '64k-eight',
    title: '64 KiB, eight writes each',
    bytes: 65_536,
    depth: 128,
    group: 64,
    descriptors: 1024,
    batch: false,
    slotWrites: true,
  },
  {
    name: '64k-cached',
    title: '64 KiB in batches, to caches',
    bytes: 65_536,
    depth: 1024,
    group: 512,
    descriptors: 1024,
    batch: true,
    cached: true,
  },
  { name: '4k', title: '4 KiB', bytes: 4096, depth: 128, group: 64, descriptors: 4096, batch: false },
  { name: '4k-batch', title: '4 KiB in batches', bytes: 4096, depth: 1024, group: 512, descriptors: 4096, batch: true },
];

/** As the first run, by a portal inside the engine's process. */
const PORTAL_RUN = { name: '64k-portal', title: '64 KiB, no socket', bytes: 65_536, target: 0.9 };

/** Numbers of DMA maps. What they cost should not depend on them: the rows of the larger ones are compared with those of the first. */
const MAP_COUNTS = [16, 256, 4096, 65_535];
const MAP_TARGET = 1.2;

/** What is timed with so many maps: a row each for every number. A scattered look-up has no target (docs/decisions). */
const MAP_RUNS = [
  { name: 'lookup-streams', title: 'look-up in three streams', measure: 'lookup', series: 'streams', target: true },
  { name: 'lookup-random', title: 'look-up anywhere', measure: 'lookup', series: 'random', target: false },
  { name: 'map', title: 'map with an fd, in the process', measure: 'change', series: 'map', target: true },
  { name: 'unmap', title: 'unmap, in the process', measure: 'change', series: 'unmap', target: false },
  { name: 'socket-map', title: 'DMA_MAP with an fd', measure: 'socket', series: 'map', target: true },
  { name: 'socket-unmap', title: 'DMA_UNMAP of it', measure: 'socket', series: 'unmap', target: true },
];

/** @type {readonly Measure[]} */
const MEASURES = [
  { name: 'echo', server: 'echo', client: ['read', '--floor', ...READ_SAMPLES] },
  { name: 'read-table', server: 'registers', client: ['read', ...tableRegister, ...READ_SAMPLES] },
  { name: 'read-hooked', server: 'registers', client: ['read', ...hookedRegister, ...READ_SAMPLES] },
  { name: 'reader', server: 'reader', client: ['posted', '--floor', ...POSTED_STREAM] },
  { name: 'posted', server: 'registers', client: ['posted', ...tableRegister, ...POSTED_STREAM] },
  { name: 'reader-burst', server: 'reader', client: ['posted', '--floor', ...POSTED_BURST] },
  { name: 'posted-burst', server: 'registers', client: ['posted', ...tableRegister, ...POSTED_BURST] },
  { name: 'dma-fd', server: 'registers', client: ['dma', '--samples', '1024'] },
  { name: 'dma-message', server: 'registers', client: ['dma', '--without-fd', '--samples', '1024'] },
  ...MAP_COUNTS.flatMap((maps) => [
    {
      name: `maps-lookup-${maps}`,
      server: null,
      program: /** @type {const} */ ('maps'),
      client: ['lookup', '--maps', String(maps)],
    },
    {
      name: `maps-change-${maps}`,
      server: null,
      program: /** @type {const} */ ('maps'),
      client: ['change', '--maps', String(maps)],
    },
    {
      name: `maps-socket-${maps}`,
      server: /** @type {const} */ ('registers'),
      client: ['dma', '--samples', '2048', '--maps', String(maps)],
    },
  ]),
  ...ENGINE_RUNS.map(({ name, bytes, depth, group, descriptors, batch, slotWrites, cached }) => ({
    name: `engine-${name}`,
    server: /** @type {const} */ ('idxd'),
    client: [
      ...['engine', '--size', String(bytes), '--slots', String(ENGINE_SLOTS), '--depth', String(depth)],
      ...['--group', String(group), '--descriptors', String(descriptors), '--samples', '8'],
      ...(batch ? ['--batch'] : []),
      ...(slotWrites ? ['--slot-writes'] : []),
      ...(cached ? ['--cached'] : []),
    ],
  })),
  {
    name: `engine-${PORTAL_RUN.name}`,
    server: null,
    program: 'portal',
    client: [
      ...['--size', String(PORTAL_RUN.bytes), '--slots', String(ENGINE_SLOTS), '--depth', '128'],
      ...['--group', '64', '--descriptors', '1024', '--samples', '8'],
    ],
  },
];

/** @type {readonly Row[]} */
const ROWS = [
  { name: 'floor-F', title: 'C ping-pong, 32 in and 36 out', measure: 'echo', series: 'read', symbol: 'F' },
  {
    name: 'read-table',
    title: 'read of a register without hooks',
    measure: 'read-table',
    series: 'read',
    floor: 'floor-F',
    target: 1.38,
  },
  {
    name: 'read-hooked',
    title: 'read of a hooked register',
    measure: 'read-hooked',
    series: 'read',
    floor: 'floor-F',
    target: 1.48,
  },
  { name: 'floor-P', title: 'C reader, one message per recv', measure: 'reader', series: 'write', symbol: 'P' },
  {
    name: 'posted',
    title: 'posted 4-byte write, 32 per send',
    measure: 'posted',
    series: 'write',
    floor: 'floor-P',
    target: 0.65,
  },
  {
    name: 'floor-P-burst',
    title: 'P, each send of 32 answered',
    measure: 'reader-burst',
    series: 'write',
    symbol: 'Pb',
  },
  {
    name: 'posted-burst',
    title: 'posted write, each 32 end in a read',
    measure: 'posted-burst',
    series: 'write',
    floor: 'floor-P-burst',
    target: 0.65,
  },
  { name: 'dma-map-fd', title: 'DMA_MAP with an fd', measure: 'dma-fd', series: 'map', floor: 'floor-F' },
  { name: 'dma-unmap-fd', title: 'DMA_UNMAP of it', measure: 'dma-fd', series: 'unmap', floor: 'floor-F' },
  { name: 'dma-map', title: 'DMA_MAP without an fd', measure: 'dma-message', series: 'map', floor: 'floor-F' },
  { name: 'dma-unmap', title: 'DMA_UNMAP of it', measure: 'dma-message', series: 'unmap', floor: 'floor-F' },
  ...MAP_RUNS.flatMap(({ name, title, measure, series, target }) =>
    MAP_COUNTS.map((maps, index) => ({
      name: `maps-${name}-${maps}`,
      title: `${title}: ${maps} maps`,
      measure: `maps-${measure}-${maps}`,
      series,
      ...(index === 0
        ? { symbol: `of ${maps} maps` }
        : { floor: `maps-${name}-${MAP_COUNTS[0]}`, ...(target ? { target: MAP_TARGET } : {}) }),
    })),
  ),
  ...[...ENGINE_RUNS, PORTAL_RUN].flatMap(({ name, title, bytes, target }) => [
    {
      name: `floor-memcpy-${name}`,
      title: `memcpy of ${bytes / 1024} KiB, the same buffers`,
      measure: `engine-${name}`,
      series: 'memcpy',
      symbol: 'memcpy',
      bytes,
    },
    ...(name === PORTAL_RUN.name ? ['move'] : ['move', 'fill', 'compare', 'crc']).map((operation) => ({
      name: `${operation}-${name}`,
      title: `engine: ${operation} of ${title}`,
      measure: `engine-${name}`,
      series: operation,
      floor: `floor-memcpy-${name}`,
      bytes,
      ...(operation === 'move' && target !== undefined ? { target } : {}),
    })),
  ]),
];

/**
 * The rows whose names start with one of `only` (all without any), each with the floor that it needs, in the order of the table.
 *
 * @param {readonly string[]} only
 * @returns {{ rows: Row[], measures: Measure[] }} Also the measures that yield them.
 * @throws {Error} When a name selects nothing.
 */
export function select(only) {
  for (const name of only) {
    if (!ROWS.some((row) => row.name.startsWith(name))) {
      throw new Error(`no row's name starts with '${name}'; there are: ${ROWS.map((row) => row.name).join(', ')}`);
    }
  }
  const chosen = ROWS.filter((row) => only.length === 0 || only.some((name) => row.name.startsWith(name)));
  const names = new Set(chosen.flatMap((row) => (row.floor === undefined ? [row.name] : [row.name, row.floor])));
  const rows = ROWS.filter((row) => names.has(row.name));
  const measures = MEASURES.filter((measure) => rows.some((row) => row.measure === measure.name));
  return { rows, measures };
}
