import { describe, expect, it } from 'vitest';

import { descriptor, type DescriptorFields, Flag, Opcode, Status } from './support/descriptor.ts';
import { BASE, type Map, PAGE, TestDevice, VERSION_2 } from './support/device.ts';

const PAGES = 16;
const MISSING = BASE + 12 * PAGE;
/** Readable and writable up to page 8, page 8 only readable, page 9 only writable, nothing behind. */
const maps: Map[] = [
  { start: 0, size: 8 * PAGE, read: true, write: true },
  { start: 8 * PAGE, size: PAGE, read: true, write: false },
  { start: 9 * PAGE, size: PAGE, read: false, write: true },
];
const at = (page: number): number => BASE + page * PAGE;

function testDevice(capabilities: object = VERSION_2): TestDevice {
  const device = new TestDevice({ pages: PAGES, maps, capabilities });
  device.enable();
  return device;
}

describe('what a device does not show it does not do', () => {
  const dif = { difFlags: 0, destinationDif: { flags: 0, reference: 0, mask: 0, application: 0 } };
  const crc = { opcode: Opcode.crcGeneration, first: at(2), size: 8 };
  it.each<[string, number, DescriptorFields]>([
    ['a pattern of 16 bytes', Flag.pattern16, { opcode: Opcode.fill, second: at(2), size: 8 }],
    ['a checksum of 64 bits', Flag.crc64, crc],
    ['a checksum of 64 bits with a copy', Flag.crc64, { ...crc, opcode: Opcode.copyWithCrc, second: at(3) }],
    ['a readback of the destination', Flag.cacheControl2, { opcode: Opcode.fill, second: at(2), size: 8 }],
    [
      'its combination with memory',
      Flag.cacheControl2 | Flag.cacheControl3,
      { opcode: Opcode.dixGenerate, first: at(2), second: at(3), size: 512, ...dif },
    ],
    ['a readback by a drain', Flag.readback1, { opcode: Opcode.drain, first: at(2) }],
    ['a second readback by a drain', Flag.readback2, { opcode: Opcode.drain, second: at(2) }],
    ['no implicit readback of traffic class A', 1 << 18, { opcode: Opcode.drain }],
    ['no implicit readback of traffic class B', 1 << 19, { opcode: Opcode.drain }],
    ['a batch that goes on', Flag.batchError, { opcode: Opcode.batch, first: at(2), size: 2 }],
  ])('%s', (_, flags, fields) => {
    using device = testDevice();
    const { status } = device.execute({ ...fields, flags });
    // A batch that goes on has something that failed before.
    expect(status).toBe(fields.opcode === Opcode.batch ? Status.batchMemberFailed : Status.success);
    using without = testDevice({});
    expect(without.execute({ ...fields, flags })).toMatchObject({ status: Status.invalidFlags, extra: flags });
    expect(without.execute({ ...fields, flags: 0 }).status).not.toBe(Status.invalidFlags);
  });

  it('a batch of one', () => {
    using device = testDevice();
    const batch = { opcode: Opcode.batch, first: at(2), size: 1 };
    expect(device.execute(batch)).toMatchObject({ status: Status.success, completed: 1 });
    using without = testDevice({});
    expect(without.execute(batch).status).toBe(Status.descriptorCount);
  });

  it('of the combinations of cache control, those that are reserved', () => {
    using device = testDevice();
    const statuses = Array.from({ length: 8 }, (_, triple) => {
      const flags =
        ((triple & 1) !== 0 ? Flag.cacheControl : 0) |
        ((triple & 2) !== 0 ? Flag.cacheControl2 : 0) |
        ((triple & 4) !== 0 ? Flag.cacheControl3 : 0);
      return device.execute({ opcode: Opcode.fill, flags, second: at(2), size: 8 }).status;
    });
    // 100 is for durable memory, which there is not; 101 and 111 are nobody's.
    const [yes, no] = [Status.success, Status.invalidFlags];
    expect(statuses).toEqual([yes, yes, yes, yes, no, no, yes, no]);
  });
});

describe('a drain', () => {
  const drain = (fields: Partial<DescriptorFields>): object => {
    using device = testDevice();
    return device.execute({ opcode: Opcode.drain, ...fields });
  };
  const both = Flag.readback1 | Flag.readback2;
  it('reads back what it is told to, at any place', () => {
    expect(drain({ flags: both, first: at(2) + 1, second: at(8) - 1 })).toMatchObject({ status: Status.success });
  });
  it('says which of the two it could not read', () => {
    const fault = { status: Status.readbackFault, faultAddress: MISSING };
    expect(drain({ flags: both, first: MISSING, second: at(2) })).toMatchObject({ ...fault, operand: 1 });
    expect(drain({ flags: both, first: at(2), second: MISSING })).toMatchObject({ ...fault, operand: 2 });
    // What can only be written cannot be read back.
    expect(drain({ flags: Flag.readback1, first: at(9) })).toMatchObject({ status: Status.readbackFault });
  });
  it('has no use for an address without its flag', () => {
    expect(drain({ flags: Flag.readback1, first: at(2), second: at(2) })).toMatchObject({
      status: Status.reservedField,
    });
  });
});

describe('a fault tells its operand', () => {
  const tags = { flags: 0x70, reference: 0, mask: 0xffff, application: 0 };
  const sourceDif = tags;
  const destinationDif = { ...tags, flags: 0, mask: 0 };
  const gone = MISSING;
  it.each<[string, number, number, DescriptorFields]>([
    ['move', 1, 0x03, { opcode: Opcode.memoryMove, first: gone, second: at(2), size: 8 }],
    ['move', 3, 0x83, { opcode: Opcode.memoryMove, first: at(2), second: gone, size: 8 }],
    ['fill', 3, 0x83, { opcode: Opcode.fill, second: gone, size: 8 }],
    ['compare', 1, 0x03, { opcode: Opcode.compare, first: gone, second: at(2), size: 8 }],
    ['compare', 2, 0x03, { opcode: Opcode.compare, first: at(2), second: gone, size: 8 }],
    ['compare pattern', 1, 0x03, { opcode: Opcode.comparePattern, first: gone, size: 8 }],
    [
      'create delta',
      1,
      0x03,
      { opcode: Opcode.createDelta, first: gone, second: at(2), size: 8, third: at(3), most: 80 },
    ],
    [
      'create delta',
      2,
      0x03,
      { opcode: Opcode.createDelta, first: at(2), second: gone, size: 8, third: at(3), most: 80 },
    ],
    [
      'create delta',
      3,
      0x83,
      { opcode: Opcode.createDelta, first: at(2), second: at(3), size: 8, third: gone, most: 80 },
    ],
    ['apply delta', 1, 0x03, { opcode: Opcode.applyDelta, first: gone, second: at(2), size: 8, seed: 10 }],
    ['apply delta', 3, 0x83, { opcode: Opcode.applyDelta, first: at(4), second: gone, size: 8, seed: 10 }],
    ['dualcast', 1, 0x03, { opcode: Opcode.dualcast, first: gone, second: at(2), third: at(3), size: 8 }],
    ['dualcast', 3, 0x83, { opcode: Opcode.dualcast, first: at(2), second: gone, third: at(3), size: 8 }],
    ['dualcast', 4, 0x83, { opcode: Opcode.dualcast, first: at(2), second: at(3), third: gone, size: 8 }],
    ['CRC', 1, 0x03, { opcode: Opcode.crcGeneration, first: gone, size: 8 }],
    [
      'CRC, seed',
      2,
      0x03,
      { opcode: Opcode.crcGeneration, flags: Flag.readSeed, first: at(2), size: 8, seedAddress: gone },
    ],
    ['copy with CRC', 3, 0x83, { opcode: Opcode.copyWithCrc, first: at(2), second: gone, size: 8 }],
    ['DIF check', 1, 0x03, { opcode: Opcode.difCheck, first: gone, size: 520, difFlags: 0, sourceDif }],
    [
      'DIF insert',
      1,
      0x03,
      { opcode: Opcode.difInsert, first: gone, second: at(2), size: 512, difFlags: 0, destinationDif },
    ],
    [
      'DIF insert',
      3,
      0x83,
      { opcode: Opcode.difInsert, first: at(2), second: gone, size: 512, difFlags: 0, destinationDif },
    ],
    ['DIF strip', 3, 0x83, { opcode: Opcode.difStrip, first: at(2), second: gone, size: 520, difFlags: 0, sourceDif }],
    [
      'DIF update',
      3,
      0x83,
      { opcode: Opcode.difUpdate, first: at(2), second: gone, size: 520, difFlags: 0, sourceDif, destinationDif },
    ],
    [
      'DIX generate',
      1,
      0x03,
      { opcode: Opcode.dixGenerate, first: gone, second: at(2), size: 512, difFlags: 0, destinationDif },
    ],
    [
      'DIX generate',
      3,
      0x83,
      { opcode: Opcode.dixGenerate, first: at(2), second: gone, size: 512, difFlags: 0, destinationDif },
    ],
    ['cache flush', 3, 0x03, { opcode: Opcode.cacheFlush, second: gone, size: 8 }],
    ['batch', 1, 0x06, { opcode: Opcode.batch, first: gone, size: 2 }],
  ])('%s: %i', (_, operand, status, fields) => {
    using device = testDevice();
    device.memory[2 * PAGE] = 1;
    expect(device.execute(fields)).toMatchObject({ status, operand, faultAddress: MISSING });
    using without = testDevice({ ...VERSION_2, faultInfo: false });
    without.memory[2 * PAGE] = 1;
    expect(without.execute(fields)).toMatchObject({ status, operand: 0, faultAddress: MISSING });
  });
});

it.each<[string, number, DescriptorFields]>([
  ['a move', 3, { opcode: Opcode.memoryMove, first: at(2), second: MISSING, size: 8 }],
  ['a list', 1, { opcode: Opcode.batch, first: MISSING, size: 2 }],
  ['a readback', 2, { opcode: Opcode.drain, flags: Flag.readback2, second: MISSING, interrupt: 1 }],
])('without a record, the software error has the operand of %s', (_, operand, fields) => {
  using device = testDevice();
  device.run(descriptor(fields));
  const [head = 0n, information = 0n, faultAddress] = device.softwareError();
  expect(head & 0x81n).toBe(0x81n);
  expect([information >> 61n, faultAddress]).toEqual([BigInt(operand), BigInt(MISSING)]);
});

it('the result of a batch says whether anything failed, so that its continuation knows', () => {
  using device = testDevice();
  const member = (index: number, fields: DescriptorFields): void => {
    device.put(2 * PAGE + index * 64, fields);
  };
  member(0, { opcode: Opcode.noOp });
  member(1, { opcode: Opcode.memoryMove, first: MISSING, second: at(3), size: 8, record: BASE + PAGE });
  member(2, { opcode: Opcode.noOp, flags: Flag.fence, record: BASE + PAGE + 32 });
  const batch = { opcode: Opcode.batch, first: at(2), size: 2 };
  expect(device.execute(batch)).toMatchObject({ status: Status.batchMemberFailed, completed: 2, result: 1 });
  expect(device.execute({ ...batch, size: 1 })).toMatchObject({ status: Status.success, completed: 1, result: 0 });
  // The fence that comes first in the continuation knows of what failed before.
  const rest = { opcode: Opcode.batch, flags: Flag.batchError, first: at(2) + 128, size: 1 };
  expect(device.execute(rest)).toMatchObject({ status: Status.batchMemberFailed, completed: 0, result: 1 });
});
