import { afterEach, describe, expect, test } from 'vitest';

import { memoryFile } from '../../../src/native/binding.ts';
import { CONFIG, closeRegistries, type DsaGuest, dsaGuest, Flag, MEMORY_AT } from './support/dsa-guest.ts';
import { CMDSTATUS, GENCTRL, GENSTS, INTCAUSE, SWERROR } from './support/offsets.ts';

afterEach(closeRegistries);

/** A small file at many addresses: moves of a GiB that need no GiB of memory. */
const FILE_SIZE = 0x40_0000n;
const LARGE_AT = 0x1_0000_0000n;
const LARGE_SIZE = 0x8000_0000n;
const MOVES = 8;
const MOVE_SIZE = 0x3fc0_0000;
/** Not a multiple of the file's size, for else source and destination would be the same bytes. */
const DISTANCE = 0x4010_0000n;

const COMMAND = 0x04;
const DEVICE_CONTROL = 0x48;
const POWER_CONTROL = 0x94;
const MEMORY_AND_BUS_MASTER = 6;
const BOTH_INTERRUPTS = 3;

/** An enabled device that copies nearly 1 GiB per descriptor on two engines; each wants record and interrupt. */
async function working(): Promise<DsaGuest> {
  const guest = await dsaGuest('dsa-cfg-v1');
  const file = memoryFile(Number(FILE_SIZE));
  const map = { size: FILE_SIZE, readable: true, writable: true, fd: file.fd, offset: 0n };
  for (let iova = LARGE_AT; iova < LARGE_AT + LARGE_SIZE; iova += FILE_SIZE) {
    expect(guest.dmaMap({ ...map, iova })).toBe(0);
  }
  file.close();
  guest.bringUp([64], 3n);
  guest.write32(GENCTRL, BOTH_INTERRUPTS);
  for (let index = 0; index < MOVES; index++) {
    guest.submit(0, {
      opcode: 3,
      flags: Flag.recordValid | Flag.record | Flag.interrupt,
      completion: MEMORY_AT + BigInt(64 * index),
      source: LARGE_AT,
      destination: LARGE_AT + DISTANCE,
      size: MOVE_SIZE,
      handle: 1,
    });
  }
  return guest;
}

/** What the guest can see of errors and interrupts. On a busy machine a move may have ended before, as it should. */
function seen(guest: DsaGuest): object {
  const statuses = Array.from({ length: MOVES }, (_, index) => guest.status(MEMORY_AT + BigInt(64 * index)));
  const completed = statuses.filter((status) => status === 1).length;
  return {
    state: guest.read32(GENSTS) & 3,
    error: guest.read64(SWERROR),
    causes: guest.read32(INTCAUSE),
    command: guest.read32(CMDSTATUS),
    interrupts: guest.vectors[0]?.read(),
    failed: statuses.filter((status) => status > 1),
    completionsWithoutRecord: (guest.vectors[1]?.read() ?? 0) - completed,
    dmaFaults: guest.device.statistics.dmaFaults,
  };
}

/** Valid, error 0x51, nothing else: no overflow, no descriptor. */
const CONFIGURATION_CHANGED = 0x5101n;
const halted = {
  state: 3,
  error: CONFIGURATION_CHANGED,
  causes: 0x11,
  command: 0,
  interrupts: 2,
  failed: [],
  completionsWithoutRecord: 0,
  dmaFaults: 0,
};
const silent = { ...halted, state: 0, error: 0n, causes: 0, interrupts: 0 };
const rounds = Array.from({ length: 20 }, (_, round) => round);

describe('with moves in flight, twenty times', () => {
  test('taking bus master away records error 0x51 and halts', async () => {
    for (const round of rounds) {
      const guest = await working();
      guest.write16(COMMAND, 2, CONFIG);
      expect(seen(guest), `round ${round}`).toEqual(halted);
      await closeRegistries();
    }
  });

  test('so does D3hot, which takes memory away just the same', async () => {
    for (const round of rounds) {
      const guest = await working();
      guest.write16(POWER_CONTROL, 3, CONFIG);
      guest.write16(POWER_CONTROL, 0, CONFIG);
      expect(seen(guest), `round ${round}`).toEqual(halted);
      await closeRegistries();
    }
  });

  test.each([
    [
      'FLR',
      (guest: DsaGuest) => {
        guest.write16(DEVICE_CONTROL, 0x8000, CONFIG);
      },
    ],
    [
      'FLR in one write with COMMAND',
      (guest: DsaGuest) => {
        const config = guest.read(CONFIG, 0, 0x100);
        const view = new DataView(config.buffer);
        view.setUint16(COMMAND, 2, true);
        view.setUint16(DEVICE_CONTROL, 0x8000, true);
        guest.write(CONFIG, 0, config);
      },
    ],
    [
      'DEVICE_RESET',
      (guest: DsaGuest) => {
        guest.session.sync.reset();
      },
    ],
  ])('%s abandons them without a word', async (_, reset) => {
    for (const round of rounds) {
      const guest = await working();
      reset(guest);
      guest.write16(COMMAND, MEMORY_AND_BUS_MASTER, CONFIG);
      expect(seen(guest), `round ${round}`).toEqual(silent);
      await closeRegistries();
    }
  });
});
