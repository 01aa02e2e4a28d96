import { constants } from 'node:os';
import { expect, it } from 'vitest';

import { defaultDmaLimits } from '../../src/mdev/index.ts';
import { Command } from '../../src/vfio-user/protocol/constants.ts';
import { encodeDmaMap, encodeDmaUnmap, encodeMessage, joined } from '../../src/vfio-user/protocol/structures/index.ts';
import { acmeDevice } from '../mdev/support/acme.ts';
import { ConfigClient } from './support/config-client.ts';

const MAPS = 262_144;
const BURST = 4096;
const PAGE = 4096n;

function mapAt(index: number): Uint8Array {
  return encodeDmaMap({ flags: 3, offset: 0n, address: BigInt(index) * 2n * PAGE, size: PAGE });
}

it('262,144 maps can be had where the operator allows them, and not one more', async () => {
  const dma = { ...defaultDmaLimits, maxMappings: MAPS };
  await using client = await ConfigClient.of(await acmeDevice(undefined, { dma }));
  const { peer } = client;
  let refused = 0;
  for (let done = 0; done < MAPS; done += BURST) {
    peer.send(
      joined(
        ...Array.from({ length: BURST }, (_, index) =>
          encodeMessage({ id: index, command: Command.dmaMap }, mapAt(done + index)),
        ),
      ),
    );
    for (let index = 0; index < BURST; ++index) {
      const reply = await peer.next();
      if (reply?.header.id !== index || reply.header.errno !== 0) ++refused;
    }
  }
  expect(refused).toBe(0);
  expect((await peer.ask({ command: Command.dmaMap }, mapAt(MAPS)))?.header.errno).toBe(constants.errno.ENOSPC);
  // Everything up to the middle at once, holes and all.
  const half = encodeDmaUnmap({ flags: 0, address: 0n, size: BigInt(MAPS) * PAGE });
  expect((await peer.ask({ command: Command.dmaUnmap }, half))?.header.errno).toBe(0);
  expect((await peer.ask({ command: Command.dmaMap }, mapAt(0)))?.header.errno).toBe(0);
  expect((await peer.ask({ command: Command.dmaMap }, mapAt(MAPS - 1)))?.header.errno).toBe(0);
  expect((await peer.ask({ command: Command.dmaMap }, mapAt(MAPS)))?.header.errno).toBe(0);
});
