/** A guest resets what it may have seen to end, while its device stands still and moves. */
import { afterEach, expect, it } from 'vitest';

import { MigrationState } from '../../../src/mdev/index.ts';
import { serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { Command, DeviceFeature, DeviceFeatureFlag, MessageFlag } from '../../../src/vfio-user/protocol/constants.ts';
import {
  encodeDeviceFeature,
  encodeMigrationDataRead,
  encodeMigrationState,
  encodeRegionAccess,
  joined,
  longs,
  words,
} from '../../../src/vfio-user/protocol/structures/index.ts';
import { closeRegistries, dsaGuest, encode, Flag } from '../../backends/idxd/support/dsa-guest.ts';
import { CMD, CMDSTATUS, Code, GENSTS, INTCAUSE, wqcfg } from '../../backends/idxd/support/offsets.ts';
import { restored } from '../../mdev/support/migratable.ts';
import { RawPeer } from '../support/raw-peer.ts';

afterEach(closeRegistries);

const RECORD = 0x1000n;
const INTERRUPT_WANTED = 0x8000_0000;

/** A client that answers what it is asked for as it likes, and the device's stream when it has reset something while that stood still. */
async function streamOf(peer: RawPeer, command: number): Promise<Uint8Array> {
  const ask = async (...parameters: Parameters<RawPeer['ask']>): Promise<Uint8Array> => {
    const reply = await peer.ask(...parameters);
    if (reply?.header.errno !== 0) throw new Error(`no reply to ${parameters[0].command}`);
    return reply.body;
  };
  const enter = async (state: number): Promise<void> => {
    const flags = DeviceFeatureFlag.set | DeviceFeature.migrationDeviceState;
    await ask({ command: Command.deviceFeature }, encodeDeviceFeature(flags, encodeMigrationState(state)));
  };
  await peer.negotiate();
  await ask({ command: Command.dmaMap }, joined(words(32, 3), longs(0n, 0n, 0x10000n)));
  const flags = Flag.recordValid | Flag.record | Flag.interrupt;
  const noOp = encode({ opcode: 0, flags, completion: RECORD, handle: 1 });
  const portal = encodeRegionAccess({ offset: 0x1000n, region: 2, count: 64 }, noOp);
  // The record but for its status is written; the status is on its way for ever.
  const body = await peer.ask({ command: Command.regionWrite, flags: MessageFlag.noReply }, portal);
  if (body === undefined) throw new Error('no record');
  const { command: write, id } = body.header;
  const status = await peer.ask({ command: write, id, flags: MessageFlag.reply }, body.body.subarray(0, 16));
  expect([...(status?.body.subarray(16) ?? [])]).toEqual([1]);

  await enter(MigrationState.stop);
  const access = encodeRegionAccess({ offset: BigInt(CMD), region: 0, count: 4 }, words(command));
  await ask({ command: Command.regionWrite }, access);
  await enter(MigrationState.stopCopy);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = (await ask({ command: Command.migrationDataRead }, encodeMigrationDataRead(0x10000))).subarray(8);
    if (piece.length === 0) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

it.each([
  ['Reset WQ', (Code.resetWq << 20) | 1, 1],
  ['Reset Device', Code.resetDevice << 20, 0],
])(
  '%s goes on elsewhere: the interrupt of a record that may have been seen, then the end of the command',
  async (_name, command, state) => {
    const source = await dsaGuest('dsa-cfg-v1');
    source.bringUp([16]);
    // What it has set up stays for the next client.
    source.close();
    const [near, far] = socketPair();
    const server = serve(source.device, { fd: near });
    const peer = new RawPeer(far);
    const stream = await streamOf(peer, (INTERRUPT_WANTED | command) >>> 0);

    const destination = await dsaGuest('dsa-cfg-v1');
    const told = destination.interrupt(1);
    const ended = destination.interrupt(0);
    await restored(destination.session, stream);
    await told;
    await ended;
    expect([destination.read32(CMDSTATUS), destination.read32(INTCAUSE), destination.read32(GENSTS) & 3]).toEqual([
      0,
      2,
      state,
    ]);
    expect(destination.read32(wqcfg(0) + 24)).toBe(0);
    peer.close();
    await server.closed;
  },
);
