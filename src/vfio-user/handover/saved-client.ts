import { closeFd } from '../../native/binding.ts';
import { readVersion, type Version, writeVersion } from '../protocol/version.ts';
import type { RestoredClient, SavedClient } from '../server/served-connection.ts';
import { agreementOf, type AgreedVersion } from '../server/version-negotiation.ts';
import { HandoverError } from './handover-error.ts';
import type { ImagePart, ReceivedImage } from './image.ts';
import { decodeObject } from './messages.ts';

/** A client as three parts: its facts with its sockets, what C++ has of it, and its ioeventfds. */
export function encodeClient({ agreed, ioFds, native }: SavedClient): readonly ImagePart[] {
  const facts = {
    agreed: agreed === undefined ? null : [encodeVersion(agreed.client), encodeVersion(agreed.answer)],
    hasTwin: native.twinFd >= 0,
    ioFds: ioFds.map(({ fds, region }) => [region, fds.length]),
  };
  return [
    {
      bytes: new TextEncoder().encode(JSON.stringify(facts)),
      fds: native.twinFd < 0 ? [native.fd] : [native.fd, native.twinFd],
    },
    { bytes: native.bytes, fds: native.fds },
    { bytes: new Uint8Array(0), fds: ioFds.flatMap(({ fds }) => fds) },
  ];
}

/** A client that was received. Its descriptors are the caller's. */
export type ReceivedClient = RestoredClient & {
  /** The socket. */
  readonly fd: number;
};

/** Closes the descriptors of a client that nobody wants. */
export function closeClient({ fd, ioFds, native }: ReceivedClient): void {
  for (const one of [fd, native.twinFd, ...native.fds, ...ioFds.flatMap(({ fds }) => fds)]) if (one >= 0) closeFd(one);
}

/** So many clients. @throws HandoverError `EIO`; nothing of them is left open then. */
export function takeClients(image: ReceivedImage, count: number): readonly ReceivedClient[] {
  const clients: ReceivedClient[] = [];
  try {
    while (clients.length < count) clients.push(takeClient(image));
    return clients;
  } catch (error) {
    for (const client of clients) closeClient(client);
    throw error;
  }
}

/** The image's descriptors stay its own until all of the client is known to make sense. */
function takeClient(image: ReceivedImage): ReceivedClient {
  const [{ bytes, fds: sockets }, native, { fds }] = image.peekThree();
  const facts = decodeObject(bytes);
  const [fd, twinFd = -1] = sockets;
  if (fd === undefined || sockets.length > 2 || !isFacts(facts)) {
    throw new HandoverError('EIO', 'a client that came makes no sense');
  }
  const agreed = facts.agreed === null ? undefined : decodeAgreed(facts.agreed);
  const agreement = agreed === undefined ? undefined : agreementOf(agreed);
  let at = 0;
  const ioFds = facts.ioFds.map(([region, count]) => {
    const own = { region, fds: fds.slice(at, at + count) };
    at += count;
    return own;
  });
  if (at !== fds.length) {
    throw new HandoverError('EIO', `a client that came has ${fds.length} ioeventfds; expected ${at}`);
  }
  for (let left = 3; left > 0; left--) image.take();
  return { fd, native: { ...native, twinFd, agreement }, agreed, ioFds };
}

interface Facts {
  readonly agreed: readonly [string, string] | null;
  readonly ioFds: readonly (readonly [number, number])[];
}

function isFacts(facts: object): facts is Facts {
  const { agreed, ioFds }: Partial<Record<keyof Facts, unknown>> = facts;
  const isPair = (value: unknown, type: string): boolean =>
    Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === type);
  return (
    (agreed === null || isPair(agreed, 'string')) &&
    Array.isArray(ioFds) &&
    ioFds.every(
      (entry) => isPair(entry, 'number') && (entry as number[]).every((one) => Number.isInteger(one) && one >= 0),
    )
  );
}

function encodeVersion(version: Version): string {
  return Buffer.from(writeVersion(version)).toString('base64');
}

function decodeAgreed([client, answer]: readonly [string, string]): AgreedVersion {
  return { client: decodeVersion(client), answer: decodeVersion(answer) };
}

function decodeVersion(text: string): Version {
  const version = readVersion(Buffer.from(text, 'base64'));
  if ('problem' in version) throw new HandoverError('EIO', `what a client has agreed on: ${version.problem}`);
  return version;
}
