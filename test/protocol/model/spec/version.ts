import { MAX_TRANSFER } from './wire.ts';

const PAGE = 4096;
const MAX_MAPS = 65_535;
const SERVER_FDS = 16;

/** What VERSION agreed on. */
export interface Agreement {
  /** File descriptors that the client takes in a message. */
  readonly maxFds: number;
  /** Bytes of data that the client takes in a message. */
  readonly maxTransfer: number;
  readonly maxMaps: number;
  readonly pageSize: bigint;
  readonly writeMultiple: boolean;
  /** What the server asks goes over a socket of its own. */
  readonly twin: boolean;
  /** The client's minor version is above ours: it speaks the C implementation's dialect. */
  readonly padded: boolean;
  /** The body of the reply. */
  readonly reply: Uint8Array;
}

type Values = Readonly<Record<string, unknown>>;

const whole = (value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;
const object = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const powerOfTwo = (value: unknown): boolean => whole(value, PAGE) && Math.log2(value as number) % 1 === 0;

/** Ranges of what a client may offer. */
const RULES: Readonly<Record<string, (value: unknown) => boolean>> = {
  max_msg_fds: (value) => whole(value, 0, 1024),
  max_data_xfer_size: (value) => whole(value, 1),
  max_dma_maps: (value) => whole(value, 1),
  pgsizes: (value) => whole(value, PAGE) && (value as number) % PAGE === 0,
  write_multiple: (value) => typeof value === 'boolean',
  migration: (value) =>
    object(value) &&
    (value['pgsize'] === undefined || powerOfTwo(value['pgsize'])) &&
    (value['max_bitmap_size'] === undefined || whole(value['max_bitmap_size'], 1)),
  twin_socket: (value) =>
    object(value) &&
    (value['supported'] === undefined || typeof value['supported'] === 'boolean') &&
    (value['fd_index'] === undefined || whole(value['fd_index'], 0, 1023)),
};

/** What a server answers that has REGION_WRITE_MULTI, migration and the twin socket; undefined when it refuses. */
export function negotiate(body: Uint8Array): Agreement | undefined {
  const offered = capabilities(body);
  if (offered === undefined) return undefined;
  if (Object.entries(RULES).some(([name, rule]) => offered[name] !== undefined && !rule(offered[name]))) {
    return undefined;
  }
  const minor = (body[2] ?? 0) | ((body[3] ?? 0) << 8);
  const number = (name: string, otherwise: number): number => (offered[name] as number | undefined) ?? otherwise;
  const pageSize = BigInt(number('pgsizes', PAGE)) & -BigInt(number('pgsizes', PAGE));
  const maxMaps = Math.min(number('max_dma_maps', MAX_MAPS), MAX_MAPS);
  const writeMultiple = offered['write_multiple'] === true;
  const twinOffer = offered['twin_socket'] as { readonly supported?: boolean } | undefined;
  const twin = twinOffer?.supported === true && number('max_msg_fds', 1) > 0;
  // A subset of what was offered.
  const told = {
    ...(offered['max_msg_fds'] !== undefined && { max_msg_fds: SERVER_FDS }),
    ...(offered['max_data_xfer_size'] !== undefined && { max_data_xfer_size: MAX_TRANSFER }),
    ...(offered['max_dma_maps'] !== undefined && { max_dma_maps: maxMaps }),
    ...(offered['pgsizes'] !== undefined && { pgsizes: Number(pageSize) }),
    ...(offered['migration'] !== undefined && { migration: { pgsize: PAGE } }),
    ...(writeMultiple && { write_multiple: true }),
    ...(twin && { twin_socket: { supported: true, fd_index: 0 } }),
  };
  return {
    maxFds: number('max_msg_fds', 1),
    maxTransfer: Math.min(number('max_data_xfer_size', MAX_TRANSFER), 0xffff_ffff),
    maxMaps,
    pageSize,
    writeMultiple,
    twin,
    padded: minor > 1,
    reply: reply(Math.min(minor, 1), told),
  };
}

function reply(minor: number, told: Values): Uint8Array {
  const text = new TextEncoder().encode(`${JSON.stringify({ capabilities: told })}\0`);
  return Uint8Array.of(0, 0, minor, 0, ...text);
}

function capabilities(body: Uint8Array): Values | undefined {
  if (body.length < 4 || body[0] !== 0 || body[1] !== 0) return undefined;
  if (body.length === 4) return {};
  if (body.at(-1) !== 0) return undefined;
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body.subarray(4, -1)));
    if (!object(parsed)) return undefined;
    const { capabilities: offered = {} } = parsed;
    // JSON's null is a value, and none that capabilities may have.
    return object(offered) ? offered : undefined;
  } catch {
    return undefined;
  }
}
