import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { RegionCapabilities } from '../../../src/mdev/index.ts';
import * as wire from '../../../src/vfio-user/protocol/structures/index.ts';
import { readVersion } from '../../../src/vfio-user/protocol/version.ts';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const size = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 100 });

const accessArbitrary = fc.record({ offset: u64, region: u32, count: u32 });
const area = fc.record({ offset: size, size });
const typed = fc.option(fc.record({ type: u32, subtype: u32 }), { nil: undefined });
const capabilities: fc.Arbitrary<RegionCapabilities> = fc
  .record({ areas: fc.option(fc.array(area, { maxLength: 9 }), { nil: undefined }), typed, mappable: fc.boolean() })
  .map(({ areas, typed: kind, mappable }) => ({
    ...(areas && { mmapAreas: areas }),
    ...kind,
    ...(mappable && { msixMappable: true }),
  }));

/** Each message: what encodes any value of it, and what has to come back. */
const roundTrips: Record<string, fc.IPropertyWithHooks<never>> = {};
function roundTrip<T>(name: string, values: fc.Arbitrary<T>, trip: (value: T) => unknown): void {
  roundTrips[name] = fc.property(values, (value) => {
    expect(trip(value)).toEqual(value);
  }) as unknown as fc.IPropertyWithHooks<never>;
}

roundTrip('header', fc.record({ id: u16, command: u16, size: u32, flags: u32, errno: u32 }), (header) =>
  wire.decodeHeader(wire.encodeMessage(header)),
);
roundTrip('device info', fc.record({ argsz: u32, flags: u32, regions: u32, irqs: u32 }), (info) =>
  wire.decodeDeviceInfo(wire.encodeDeviceInfo(info)),
);
roundTrip(
  'region info',
  fc.record({ argsz: u32, flags: u32, index: u32, capabilityOffset: u32, size, offset: size }),
  (info) => wire.decodeRegionInfo(wire.encodeRegionInfo(info)),
);
roundTrip('region capabilities', capabilities, (value) => {
  const encoded = wire.encodeRegionCapabilities(value, 32);
  return wire.decodeRegionCapabilities(wire.joined(new Uint8Array(32), encoded), encoded.length === 0 ? 0 : 32);
});
roundTrip('irq info', fc.record({ argsz: u32, flags: u32, index: u32, count: u32 }), (info) =>
  wire.decodeIrqInfo(wire.encodeIrqInfo(info)),
);
roundTrip('region access', fc.record({ access: accessArbitrary, data: bytes }), ({ access, data }) => {
  const body = wire.encodeRegionAccess(access, data);
  return { access: wire.decodeRegionAccess(body), data: body.subarray(wire.REGION_ACCESS_SIZE) };
});
roundTrip('DMA access', fc.record({ access: fc.record({ address: u64, count: u64 }), data: bytes }), (message) => {
  const body = wire.encodeDmaAccess(message.access, message.data);
  return { access: wire.decodeDmaAccess(body), data: body.subarray(wire.DMA_ACCESS_SIZE) };
});
roundTrip('device feature', fc.record({ argsz: u32, flags: u32, data: bytes }), ({ argsz, data, flags }) =>
  wire.decodeDeviceFeature(wire.encodeDeviceFeature(flags, data, argsz)),
);
roundTrip('migration state', u32, (state) => wire.decodeMigrationState(wire.encodeMigrationState(state)));
roundTrip('migration data', bytes, (data) => {
  const body = wire.encodeMigrationData(data, data.length + 3);
  const told = wire.decodeMigrationData(body);
  return body.subarray(wire.MIGRATION_DATA_SIZE, wire.MIGRATION_DATA_SIZE + (told?.size ?? 0));
});
roundTrip(
  'region io fds',
  fc.array(fc.record({ offset: size, size, fdIndex: u32, datamatch: u64 }), { maxLength: 9 }),
  (entries) => {
    const body = wire.encodeRegionIoFds({ argsz: 0, flags: 0, index: 1, count: entries.length }, entries);
    expect(body).toHaveLength(16 + 40 * entries.length);
    return entries.map((_, n) => wire.decodeRegionIoFd(body, n));
  },
);
roundTrip(
  'region writes',
  fc.array(fc.record({ region: u32, offset: u64, data: fc.uint8Array({ minLength: 1, maxLength: 8 }) })),
  (writes) => wire.decodeRegionWriteMulti(wire.encodeRegionWriteMulti(writes)),
);
roundTrip(
  'DMA logging start',
  fc.record({ pageSize: u64, ranges: fc.array(fc.record({ iova: u64, size: u64 })) }),
  (start) => wire.decodeDmaLoggingStart(wire.encodeDmaLoggingStart(start)),
);
roundTrip('DMA logging report', fc.record({ iova: u64, size: u64, pageSize: u64 }), (report) =>
  wire.decodeDmaLoggingReport(wire.encodeDmaLoggingReport(report)),
);

/** Everything that reads what the other side sent. */
const decoders: Record<string, (body: Uint8Array) => unknown> = {
  header: wire.decodeHeader,
  'device info': wire.decodeDeviceInfo,
  'region info': wire.decodeRegionInfo,
  'region capabilities': (body) => wire.decodeRegionCapabilities(body, body[0] ?? 0),
  'irq info': wire.decodeIrqInfo,
  'region access': wire.decodeRegionAccess,
  'DMA access': wire.decodeDmaAccess,
  'device feature': wire.decodeDeviceFeature,
  'migration state': wire.decodeMigrationState,
  'migration data': wire.decodeMigrationData,
  'region io fds': wire.decodeRegionIoFds,
  'region io fd': (body) => wire.decodeRegionIoFd(body, body[0] ?? 0),
  'region writes': wire.decodeRegionWriteMulti,
  'DMA logging start': wire.decodeDmaLoggingStart,
  'DMA logging report': wire.decodeDmaLoggingReport,
  'unmap bitmap': (body) => wire.decodeDmaUnmapDirty(body, BigInt(body[0] ?? 0)),
  version: readVersion,
};

describe('the structures of messages', () => {
  it.each(Object.entries(roundTrips))('%s: what was encoded is what is decoded', (_name, property) => {
    fc.assert(property);
  });

  it.each(Object.entries(decoders))('%s: garbage is decoded or refused, and never throws', (_name, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        decode(garbage);
        // Small numbers make more of it look right.
        decode(garbage.map((byte, index) => (index % 4 === 0 ? byte % 64 : 0)));
      }),
    );
  });

  it('follow no chain of capabilities backwards, in a circle, or out of the body', () => {
    const chain = (...next: number[]): Uint8Array =>
      wire.joined(...next.map((place) => wire.words(3 | (1 << 16), place)));
    expect(wire.decodeRegionCapabilities(chain(8, 16, 0), 0)).toEqual({});
    expect(wire.decodeRegionCapabilities(wire.joined(new Uint8Array(8), chain(16, 0)), 8)).toEqual({
      msixMappable: true,
    });
    for (const bad of [chain(0, 8), chain(0, 16, 8), chain(0, 100), chain(0, 12)]) {
      expect(wire.decodeRegionCapabilities(bad, 8)).toBeUndefined();
    }
    const areas = wire.joined(new Uint8Array(8), wire.words(1 | (1 << 16), 0, 0xffff_ffff, 0));
    expect(wire.decodeRegionCapabilities(areas, 8)).toBeUndefined();
  });

  it('size bitmaps in words of 64 bits', () => {
    expect(wire.dirtyBitmapBytes(0x1000n, 0x1000n)).toBe(8n);
    expect(wire.dirtyBitmapBytes(0x4_0000n, 0x1000n)).toBe(8n);
    expect(wire.dirtyBitmapBytes(0x4_1000n, 0x1000n)).toBe(16n);
  });
});
