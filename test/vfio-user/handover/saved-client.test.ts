import { expect, it } from 'vitest';

import { duplicateFd } from '../../../src/native/binding.ts';
import { encodeImage, type ImagePart, ReceivedImage } from '../../../src/vfio-user/handover/image.ts';
import { closeClient, takeClients } from '../../../src/vfio-user/handover/saved-client.ts';
import { eventfd } from '../../../src/vfio-user/index.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { openFiles } from '../support/bench.ts';

const VERSION = Buffer.from(writeVersion({ major: 0, minor: 0, capabilities: {} })).toString('base64');
const GOOD = { agreed: [VERSION, VERSION], hasTwin: false, ioFds: [[0, 2]] };

/** An image of clients as `encodeClient` writes them, each part with so many descriptors. */
function received(
  clients: readonly (readonly [facts: unknown, sockets: number, fds: number, ioFds: number])[],
  parts?: number,
): ReceivedImage {
  const file = eventfd();
  const own = (count: number): number[] => Array.from({ length: count }, () => duplicateFd(file.fd));
  const all: ImagePart[] = clients.flatMap(([facts, sockets, fds, ioFds]) => [
    { bytes: new TextEncoder().encode(JSON.stringify(facts)), fds: own(sockets) },
    { bytes: Uint8Array.of(1, 2, 3), fds: own(fds) },
    { bytes: new Uint8Array(0), fds: own(ioFds) },
  ]);
  file.close();
  const cut = parts ?? all.length;
  const image = encodeImage(all.slice(0, cut));
  for (const { fds } of all.slice(cut)) new ReceivedImage(encodeImage([{ bytes: new Uint8Array(0), fds }])).close();
  return new ReceivedImage(image);
}

it('clients come as they were sent, and own what came with them', () => {
  const before = openFiles();
  const image = received([
    [GOOD, 1, 3, 2],
    [{ agreed: null, ioFds: [] }, 2, 0, 0],
  ]);
  const clients = takeClients(image, 2);
  image.finish();
  expect(clients.map(({ ioFds, native }) => [native.fds.length, native.twinFd >= 0, ioFds.length])).toEqual([
    [3, false, 1],
    [0, true, 0],
  ]);
  for (const client of clients) closeClient(client);
  expect(openFiles()).toBe(before);
});

it.each([
  ['has no socket', GOOD, 0, 1, 2, 3],
  ['has a third socket', GOOD, 3, 1, 2, 3],
  ['ends behind its facts', GOOD, 1, 1, 2, 1],
  ['ends before its ioeventfds', GOOD, 1, 1, 2, 2],
  ['has more ioeventfds than it names', GOOD, 1, 1, 3, 3],
  ['has fewer', GOOD, 1, 1, 1, 3],
  [
    'names fewer than none',
    {
      ...GOOD,
      ioFds: [
        [0, 3],
        [1, -1],
      ],
    },
    1,
    1,
    2,
    3,
  ],
  ['names a part of one', { ...GOOD, ioFds: [[0, 1.5]] }, 1, 1, 2, 3],
  ['has agreed on nothing that is known', { ...GOOD, agreed: ['', VERSION] }, 1, 1, 2, 3],
  ['has no facts', 'nothing', 1, 1, 2, 3],
])('a client that %s is refused, and nothing of it stays open', (_how, facts, sockets, fds, ioFds, parts) => {
  const before = openFiles();
  const image = received(
    [
      [GOOD, 1, 2, 2],
      [facts, sockets, fds, ioFds],
    ],
    3 + parts,
  );
  expect(() => takeClients(image, 2)).toThrow(expect.objectContaining({ code: 'EIO' }));
  image.close();
  expect(openFiles()).toBe(before);
});
