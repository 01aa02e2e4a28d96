/**
 * What two servers say to each other while one takes the other's place: messages with the header of vfio-user, whose command is a kind from here.
 *
 * The successor says hello; the running server offers what it serves, and the successor accepts or refuses it, before anything moves. Then the
 * running server stops, and sends an image of everything in chunks; each that carries file descriptors is confirmed before the next. The successor
 * is ready when all of it is in place. To `go` it says `begun`, and begins: see `commit.ts`. Until then either side can still call it off, and the running
 * server goes on.
 */
export const HandoverKind = {
  /** Successor: {@link Hello}. */
  hello: 1,
  /** Server: {@link Offer}. */
  offer: 2,
  /** Successor: the offer fits. */
  accept: 3,
  /** Either: it does not come to a handover; {@link Refusal}. */
  refuse: 4,
  /** Server: bytes of the image, and file descriptors. */
  chunk: 5,
  /** Successor: u32, file descriptors so far. */
  taken: 6,
  /** Server: the image is complete; {@link Total}. */
  end: 7,
  /** Successor: everything is in place. */
  ready: 8,
  /** Server: the successor may have it. */
  go: 9,
  /** Successor: it is the successor's. */
  begun: 10,
} as const;

/** A message's kind, for people. */
export function kindName(kind: number): string {
  return Object.entries(HandoverKind).find(([, value]) => value === kind)?.[0] ?? `kind ${kind}`;
}

/** The version of these messages and of the image that is written here. */
export const HANDOVER_VERSION = 2;

/** Bytes of the image in one chunk. */
export const CHUNK_BYTES = 1024 * 1024;
/** The largest image that is taken, bytes: a million maps, and a device's state. */
export const IMAGE_BYTES_MAX = 256 * 1024 * 1024;
/** File descriptors of an image: vectors, memory files, ioeventfds, and what a client has sent and nobody has looked at. */
export const IMAGE_FDS_MAX = 16_384;

export interface Hello {
  /** Versions that the successor understands. */
  readonly versions: readonly number[];
}

export interface Offer {
  readonly version: number;
  /** What the embedder has told of the instance. */
  readonly instance: InstanceFacts;
  /** The path of the listening socket, when the server has made one. */
  readonly socketPath?: string;
  /** Whether a client holds the device. */
  readonly held: boolean;
  /** What the successor's device has to be: `StateTransfer.header`, in base64. */
  readonly header: string;
}

/** What an embedder tells its successor of the instance that it serves, such as its UUID: text by name. */
export type InstanceFacts = Readonly<Record<string, string>>;

export interface Refusal {
  readonly reason: string;
  /** It is not known yet whether the other side has begun; if it has not, another refusal follows. Absent in releases that have none of these. */
  readonly undecided?: true;
}

export interface Total {
  readonly bytes: number;
  readonly fds: number;
}

/** The body of a message that is JSON. */
export function encodeBody(body: Hello | Offer | Refusal | Total): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(body));
}

export function decodeHello(body: Uint8Array): Hello | undefined {
  const { versions } = decodeObject(body);
  if (!Array.isArray(versions)) return undefined;
  return { versions: versions.filter((version): version is number => Number.isSafeInteger(version)) };
}

export function decodeOffer(body: Uint8Array): Offer | undefined {
  const { header, held, instance, socketPath, version } = decodeObject(body);
  if (version !== HANDOVER_VERSION || typeof header !== 'string' || typeof held !== 'boolean') return undefined;
  if (!isFacts(instance)) return undefined;
  if (socketPath === undefined) return { version, header, held, instance };
  return typeof socketPath === 'string' ? { version, header, held, instance, socketPath } : undefined;
}

export function decodeRefusal(body: Uint8Array): Refusal {
  const { reason, undecided } = decodeObject(body);
  const text = typeof reason === 'string' ? reason : 'it gave no reason';
  return undecided === true ? { reason: text, undecided } : { reason: text };
}

export function decodeTotal(body: Uint8Array): Total | undefined {
  const { bytes, fds } = decodeObject(body);
  return typeof bytes === 'number' && typeof fds === 'number' ? { bytes, fds } : undefined;
}

/** A JSON object; an empty one for anything else. */
export function decodeObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

function isFacts(value: unknown): value is InstanceFacts {
  return typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string');
}
