import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';

import { CONFIG, closeRegistries, dsaDevice, dsaGuest, type DsaGuest, encode, MEMORY_AT } from './support/dsa-guest.ts';
import { CMD, GENCFG, grpcfg, INTCAUSE, wqcfg } from './support/offsets.ts';

afterEach(closeRegistries);

const sizes = { 0: 0x1_0000, 2: 0x4000, [CONFIG]: 4096 } as const;
const region = fc.constantFrom(0, 2, CONFIG);
/** Anywhere, also across the end, and where something happens. */
const offset = fc.oneof(
  fc.nat(0x1_0040),
  fc.constantFrom(4, 0x48, 0x49, 0x80, 0x82, 0x94, GENCFG, INTCAUSE, CMD, CMD + 3, grpcfg(0), wqcfg(0), 0x2000, 0x3000),
  fc.nat(0x200).map((at) => wqcfg(0) + at),
);
const bytes = fc.uint8Array({ minLength: 0, maxLength: 80 });
/** A command that exists, so that states are reached which arbitrary bytes seldom reach. */
const command = fc.record({
  kind: fc.constant('command' as const),
  code: fc.nat(16),
  operand: fc.oneof(fc.nat(9), fc.nat(0xfffff)),
});
const access = fc.record({
  kind: fc.constantFrom('read' as const, 'write' as const),
  region,
  offset,
  bytes,
});
/** The configuration with which everything can be enabled. */
const configure = fc.record({ kind: fc.constant('configure' as const) });
const submit = fc.record({
  kind: fc.constant('submit' as const),
  opcode: fc.nat(0xff),
  flags: fc.nat(0xffffff),
  size: fc.nat(0xffff_ffff),
  slot: fc.nat(63),
});
const step = fc.oneof(
  { weight: 4, arbitrary: access },
  { weight: 4, arbitrary: command },
  { weight: 1, arbitrary: configure },
  { weight: 1, arbitrary: submit },
);

function bringUp(guest: DsaGuest): void {
  guest.tryWrite(CONFIG, 4, new Uint8Array([6, 0]));
  for (const [at, value] of [
    [CMD, 5 << 20],
    [wqcfg(0), 8],
    [wqcfg(0) + 8, 0xa1],
    [wqcfg(0) + 12, 31 | (10 << 5)],
    [grpcfg(0), 1],
    [grpcfg(0) + 32, 1],
    [CMD, 1 << 20],
    [CMD, 6 << 20],
  ] as const) {
    // EIO where the guest has put the function to sleep.
    guest.tryWrite(0, at, new Uint8Array(new Uint32Array([value]).buffer));
  }
}

function play(guest: DsaGuest, steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): void {
  for (const next of steps) {
    if (next.kind === 'configure') bringUp(guest);
    else if (next.kind === 'command') {
      guest.tryWrite(0, CMD, new Uint8Array(new Uint32Array([(next.code << 20) | next.operand]).buffer));
    } else if (next.kind === 'submit') {
      const descriptor = { ...next, completion: MEMORY_AT, source: MEMORY_AT, destination: MEMORY_AT + 64n };
      guest.tryWrite(2, 64 * next.slot, encode(descriptor));
    } else {
      const errno =
        next.kind === 'read'
          ? guest.tryRead(next.region, next.offset, next.bytes)
          : guest.tryWrite(next.region, next.offset, next.bytes);
      const size = sizes[next.region];
      const inside = next.offset + next.bytes.length <= size;
      expect(inside ? [0, 5] : [22]).toContain(errno);
    }
  }
}

describe.each(['dsa-cfg-v1', 'dsa-1dwq-v1'] as const)('whatever a guest does to %s', (type) => {
  const attributes = type === 'dsa-cfg-v1' ? { queues: 1, entries: 8 } : { entries: 8 };

  test('it never fails the instance, and a reset makes it like new', { timeout: 60_000 }, async () => {
    const guest = await dsaGuest(type, attributes);
    const fresh = await dsaDevice(type, attributes);
    const values = (device: DsaGuest['device']): unknown => {
      const { configSpace, registers } = device.describe();
      return [configSpace, registers.bar0].map((rows) => rows?.map(({ path, current }) => [path, current]));
    };
    // The maximum payload size is the one thing that PCI Express keeps over a function-level reset.
    const expected = JSON.stringify(values(fresh.device), (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        guest.session.sync.reset();
        play(guest, steps);
        expect(guest.device.state).toBe('running');
        const control = guest.read16(0x48, CONFIG);
        guest.write16(0x48, control & ~0xe0, CONFIG);
        guest.session.sync.reset();
        const after = JSON.stringify(values(guest.device), (_, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        );
        expect(after).toBe(expected);
      }),
      { numRuns: 600 },
    );
    await fresh.registry.close();
  });
});
