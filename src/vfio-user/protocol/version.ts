/** VERSION: what two sides tell each other first, read with all its ranges checked. */
import { MAX_MESSAGE_FDS, MAX_TRANSFER, PAGE_SIZE, VERSION_MAJOR, VERSION_MINOR } from './constants.ts';
import { joined } from './structures/index.ts';

/** What a side can do, as the JSON text of VERSION says it. What is absent was not said. */
export interface Capabilities {
  /** File descriptors that the sender accepts in one message, 0 to 1,024. */
  readonly max_msg_fds?: number;
  /** Bytes that the sender accepts in one message, 1 or more. */
  readonly max_data_xfer_size?: number;
  /** DMA maps at a time, 1 or more. */
  readonly max_dma_maps?: number;
  /** Page sizes of DMA maps, a multiple of 4,096. */
  readonly pgsizes?: number;
  readonly write_multiple?: boolean;
  readonly migration?: { readonly pgsize?: number; readonly max_bitmap_size?: number };
  /** `fd_index`: which file descriptor of the reply is the client's end; in a reply only. */
  readonly twin_socket?: { readonly supported?: boolean; readonly fd_index?: number };
}

/** A VERSION message. */
export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly capabilities: Capabilities;
}

/** Why a VERSION message cannot be accepted. */
export interface VersionProblem {
  readonly problem: string;
}

/** What counts for a side that did not say: the specification's defaults. */
export const DEFAULT_MESSAGE_FDS = 1;
export const DEFAULT_TRANSFER = 1024 * 1024;

const MESSAGE_FDS_MAX = 1024;
const UINT32_MAX = 0xffff_ffff;

/** What a value must be; undefined when it is. */
type Check = (value: unknown) => string | undefined;

function integer(least: number, most: number, multipleOf = 1): Check {
  return (value) =>
    typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    value >= least &&
    value <= most &&
    value % multipleOf === 0
      ? undefined
      : `an integer from ${least} to ${most}${multipleOf === 1 ? '' : `, a multiple of ${multipleOf}`}`;
}

const boolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');

const powerOfTwo: Check = (value) =>
  integer(PAGE_SIZE, Number.MAX_SAFE_INTEGER)(value) === undefined && Number.isInteger(Math.log2(value as number))
    ? undefined
    : `a power of two of at least ${PAGE_SIZE}`;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A client's value, for a message: bounded, whatever the client wrote. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : String(value);
}

type Checks = Readonly<Record<string, Check | Readonly<Record<string, Check>>>>;

const checks: Checks = {
  max_msg_fds: integer(0, MESSAGE_FDS_MAX),
  max_data_xfer_size: integer(1, Number.MAX_SAFE_INTEGER),
  max_dma_maps: integer(1, Number.MAX_SAFE_INTEGER),
  pgsizes: integer(PAGE_SIZE, Number.MAX_SAFE_INTEGER, PAGE_SIZE),
  write_multiple: boolean,
  migration: { pgsize: powerOfTwo, max_bitmap_size: integer(1, Number.MAX_SAFE_INTEGER) },
  twin_socket: { supported: boolean, fd_index: integer(0, MESSAGE_FDS_MAX - 1) },
};

/** The first value of `values` that is not what `known` says; unknown keys are free. */
function findProblem(values: Readonly<Record<string, unknown>>, known: Checks, path: string): string | undefined {
  for (const [name, check] of Object.entries(known)) {
    const value = values[name];
    if (value === undefined) continue;
    const where = `${path}.${name}`;
    if (typeof check === 'function') {
      const expected = check(value);
      if (expected !== undefined) return `${where} is ${shown(value)}; expected ${expected}`;
      continue;
    }
    if (!isObject(value)) return `${where} is ${shown(value)}; expected an object`;
    const problem = findProblem(value, check, where);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Reads the body of a VERSION message: major u16, minor u16, and a JSON text that ends with NUL, or none. */
export function readVersion(body: Uint8Array): Version | VersionProblem {
  if (body.length < 4) return { problem: `VERSION has ${body.length} bytes; expected 4 or more` };
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const major = view.getUint16(0, true);
  const minor = view.getUint16(2, true);
  if (major !== VERSION_MAJOR) return { problem: `major version ${major}; expected ${VERSION_MAJOR}` };
  if (body.length === 4) return { major, minor, capabilities: {} };
  if (body.at(-1) !== 0) return { problem: 'the text of VERSION does not end with NUL' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body.subarray(4, -1)));
  } catch {
    return { problem: 'the text of VERSION is no JSON' };
  }
  if (!isObject(parsed)) return { problem: 'the text of VERSION is no JSON object' };
  const { capabilities = {} } = parsed;
  if (!isObject(capabilities)) return { problem: 'capabilities is no object' };
  const problem = findProblem(capabilities, checks, 'capabilities');
  if (problem !== undefined) return { problem };
  return { major, minor, capabilities };
}

/** The body of a VERSION message. */
export function writeVersion(version: Version): Uint8Array {
  const text = new TextEncoder().encode(`${JSON.stringify({ capabilities: version.capabilities })}\0`);
  return joined(
    Uint8Array.of(version.major & 0xff, version.major >> 8, version.minor & 0xff, version.minor >> 8),
    text,
  );
}

/** What a server is able and willing to do for a client. */
export interface ServerCapabilities {
  /** REGION_WRITE_MULTI. */
  readonly writeMultiple: boolean;
  /** The twin socket. */
  readonly twinSocket: boolean;
  /** The device can be migrated. */
  readonly migration: boolean;
  /** DMA maps at a time. */
  readonly maxDmaMaps: bigint;
  /** Page sizes of DMA maps, bytes, or'ed. */
  readonly pageSizes: bigint;
}

/** The lowest bit of a set of page sizes: maps are multiples of it. */
function smallest(pageSizes: bigint): bigint {
  return pageSizes & -pageSizes;
}

/** The smallest page size of the client's that maps here can have: one that is a multiple of ours. */
function commonPageSize(offered: number, pageSizes: bigint): bigint {
  return smallest(BigInt(offered) & -smallest(pageSizes));
}

/**
 * The server's answer. Its capabilities are a subset of the client's, as the specification wants: what the client did not offer is not among
 * them, and for what it did not say the specification's defaults hold.
 */
export function answerVersion(client: Version, server: ServerCapabilities): Version | VersionProblem {
  const offered = client.capabilities;
  const pageSize = offered.pgsizes === undefined ? undefined : commonPageSize(offered.pgsizes, server.pageSizes);
  if (pageSize === 0n) {
    return {
      problem: `capabilities.pgsizes is ${offered.pgsizes}; maps have pages of ${smallest(server.pageSizes)} bytes`,
    };
  }
  const twin = server.twinSocket && offered.twin_socket?.supported === true && clientMessageFds(client) > 0;
  return {
    major: VERSION_MAJOR,
    minor: Math.min(client.minor, VERSION_MINOR),
    capabilities: {
      ...(offered.max_msg_fds !== undefined && { max_msg_fds: MAX_MESSAGE_FDS }),
      ...(offered.max_data_xfer_size !== undefined && { max_data_xfer_size: MAX_TRANSFER }),
      ...(offered.max_dma_maps !== undefined && {
        max_dma_maps: Math.min(offered.max_dma_maps, Number(server.maxDmaMaps)),
      }),
      ...(pageSize !== undefined && { pgsizes: Number(pageSize) }),
      ...(server.migration && offered.migration !== undefined && { migration: { pgsize: PAGE_SIZE } }),
      ...(server.writeMultiple && offered.write_multiple === true && { write_multiple: true }),
      ...(twin && { twin_socket: { supported: true, fd_index: 0 } }),
    },
  };
}

/** File descriptors that a client takes in one message. */
export function clientMessageFds(client: Version): number {
  return client.capabilities.max_msg_fds ?? DEFAULT_MESSAGE_FDS;
}

/** Bytes that a client takes in one message, at most 2^32 - 1. */
export function clientTransfer(client: Version): number {
  return Math.min(client.capabilities.max_data_xfer_size ?? DEFAULT_TRANSFER, UINT32_MAX);
}
