import { describe, expect, test } from 'vitest';

import {
  array,
  capability,
  DeclarationError,
  msix,
  msixRegisters,
  powerManagement,
  rc,
  reg32,
  registerBlock,
  ro,
} from '../../../src/emulation/index.ts';
import {
  choice,
  defineMdevType,
  deviceSpecific,
  flag,
  integer,
  io,
  MdevError,
  memory,
  mmio,
  ParentDevice,
  portal,
  rom,
  vga,
} from '../../../src/mdev/index.ts';

const places = { vectors: 4, table: { bar: 0, offset: 0x800 }, pba: { bar: 0, offset: 0xc00 } } as const;
const block = (registers = {}) => registerBlock(0x1000, { ID: reg32(0, { id: ro(31, 0) }), ...registers });
const pci = { vendorId: 1, deviceId: 2, classCode: 3, capabilities: [msix(places)] };

function define(changes: object): () => unknown {
  return () =>
    defineMdevType({
      id: 'card',
      pci,
      regions: { bar0: mmio(block(msixRegisters(places))) },
      create: () => ({}),
      ...changes,
    });
}

const PAGE = 4096;
const withRegion = (name: string, region: unknown) => ({
  regions: { bar0: mmio(block(msixRegisters(places))), [name]: region },
});
const special = <T extends Parameters<typeof deviceSpecific>[1]>(region: T) =>
  deviceSpecific({ type: 1, subtype: 1 }, region);
const mapped = (areas: readonly { readonly offset: number; readonly size: number }[]) =>
  memory({ size: PAGE, map: { areas } });
/** Registers that reads change. */
const events = registerBlock(PAGE, { EVENTS: array(0, 4, 4, { WHICH: reg32(0, { lost: ro(0), seen: rc(8, 1) }) }) });

test('only plain memory is prefetchable unless its vendor says so', () => {
  const regions = [mmio(block()), mmio(events), portal({ size: 16 }), memory({ size: 16 }), io(registerBlock(16, {}))];
  expect(regions.map(({ prefetchable }) => prefetchable)).toEqual([false, false, false, true, false]);
  expect(mmio(block(), { prefetchable: true }).prefetchable).toBe(true);
  expect(define(withRegion('bar2', mmio(events)))).not.toThrow();
  // Where there is no BAR, nothing is promised.
  expect(define(withRegion('region9', special(mmio(events, { prefetchable: true }))))).not.toThrow();
});

describe('a vendor’s mistake throws where the type is declared', () => {
  test.each<[string, object]>([
    ['type name "a/b": expected 1 to 64 of', { id: 'a/b' }],
    [
      'type card: the MSI-X capability has its table at 0x800 of BAR 0, which is no BAR with registers',
      { regions: {} },
    ],
    [
      'type card: the MSI-X capability has its table at 0x800 of BAR 0, which is no BAR with registers',
      { regions: { bar0: portal({ size: 0x1000 }) } },
    ],
    [
      'its table at 0x800 of BAR 0: expected 4 elements of 16 bytes there; its block has no MSIX_TABLE',
      { regions: { bar0: mmio(block()) } },
    ],
    [
      'its table at 0x800 of BAR 0: expected 4 elements of 16 bytes there; its block has MSIX_TABLE at 0x800: 3 elements of 16 bytes',
      { regions: { bar0: mmio(block(msixRegisters({ ...places, vectors: 3 }))) } },
    ],
    [
      'its pending bits at 0xc00 of BAR 0: expected 1 elements of 8 bytes there; its block has MSIX_PBA at 0xd00',
      { regions: { bar0: mmio(block(msixRegisters({ ...places, pba: { bar: 0, offset: 0xd00 } }))) } },
    ],
    [
      'type card: configSpace: BAR 1 is the upper half of BAR 0',
      { regions: { bar0: mmio(block(msixRegisters(places))), bar1: portal({ size: 16 }) } },
    ],
    ['type card: configSpace: BAR 5 has no register above it for 64 bits', { regions: { bar5: portal({ size: 16 }) } }],
    ['type card: VENDOR_ID: reset 0x10000 sets bits of no field', { pci: { ...pci, vendorId: 0x1_0000 } }],
    ['type card: configSpace: classCode is 16777216; expected', { pci: { ...pci, classCode: 0x100_0000 } }],
    ['type card: configSpace: revisionId is 256; expected', { pci: { ...pci, revisionId: 256 } }],
    [
      'type card: configSpace: VENDOR at 0x44 overlaps PM at 0x40',
      {
        pci: {
          ...pci,
          capabilities: [
            powerManagement({ offset: 0x40 }),
            capability({ name: 'VENDOR', id: 9, offset: 0x44, size: 8, registers: {} }),
          ],
        },
      },
    ],
    [
      'type card: configSpace: VENDOR has id 256, expected 0 to 255',
      { pci: { ...pci, capabilities: [capability({ name: 'VENDOR', id: 256, size: 8, registers: {} })] } },
    ],
    ['type card: bar6 is no region; expected bar0 to bar5', { regions: { bar6: portal({ size: 16 }) } }],
    ['type card: region10: there is no region9 before it', withRegion('region10', special(memory({ size: 16 })))],
    ['type card: region9 has no type; declare it with deviceSpecific', withRegion('region9', memory({ size: 16 }))],
    ['type card: bar2 is not device-specific', withRegion('bar2', special(memory({ size: 16 })))],
    ['type card: bar2: 8 bytes; its register block has 4096', withRegion('bar2', mmio(block(), { size: 8 }))],
    ['type card: memoryBar: size 24 is not a power of two', withRegion('bar2', memory({ size: 24 }))],
    ['type card: ioBar: size 512 is not a power of two from 4 to 256', withRegion('bar2', io(registerBlock(512, {})))],
    [
      'type card: bar2: content of 17 bytes in a region of 16',
      withRegion('bar2', memory({ size: 16, content: new Uint8Array(17) })),
    ],
    [
      'type card: bar2: 8589934592 bytes of memory; expected at most 4 GiB',
      withRegion('bar2', memory({ size: 2 ** 33 })),
    ],
    [
      'type card: bar2: a read clears EVENTS[0].WHICH.seen; a BAR with such a field is not prefetchable',
      withRegion('bar2', mmio(events, { prefetchable: true })),
    ],
    ['bar2: the area to map at 0, 16 bytes: expected whole pages', withRegion('bar2', memory({ size: 16, map: true }))],
    [
      'bar2: what can only be written cannot be mapped',
      withRegion('bar2', memory({ size: PAGE, access: 'writeOnly', map: true })),
    ],
    [
      'bar2: the area to map at 0, 8192 bytes: expected it behind',
      withRegion('bar2', mapped([{ offset: 0, size: 2 * PAGE }])),
    ],
    [
      'bar2: the area to map at 0, 4096 bytes: expected it behind',
      withRegion(
        'bar2',
        mapped([
          { offset: 0, size: PAGE },
          { offset: 0, size: PAGE },
        ]),
      ),
    ],
    [
      'bar2: the area to map at 0, 4096 bytes: register ID is there',
      withRegion('bar2', mmio(block(), { map: { areas: [{ offset: 0, size: PAGE }] } })),
    ],
    ['bar2: 0 areas to map; expected 1 to 64', withRegion('bar2', mapped([]))],
    [
      'bar2: 17 areas to map; expected 1 to 16',
      withRegion(
        'bar2',
        memory({
          size: 32 * PAGE,
          map: {
            descriptors: 'perArea',
            areas: Array.from({ length: 17 }, (_, n) => ({ offset: n * PAGE, size: PAGE })),
          },
        }),
      ),
    ],
    ['type card: configSpace: ROM of 3000 bytes', withRegion('rom', rom(new Uint8Array(8), { size: 3000 }))],
    [
      'type card: rom: content of 4097 bytes in a region of 4096',
      withRegion('rom', rom(new Uint8Array(4097), { size: 4096 })),
    ],
    ['type card: vga: class code 0x3; expected 0x0300', withRegion('vga', vga(registerBlock(0xc0000, {})))],
    [
      'type card: vga: register ID at 0x0 is not where VGA is',
      { ...withRegion('vga', vga(block())), pci: { ...pci, classCode: 0x030000 } },
    ],
  ])('%s', (message, changes) => {
    const declare = define(changes);
    expect(declare).toThrow(message);
    expect(declare).toThrow(DeclarationError);
  });

  test('also with attributes at their bounds, one by one', () => {
    const attributes = {
      size: integer({ minimum: 16, maximum: 48, default: 32, description: '' }),
      wide: flag({ default: false, description: '' }),
      kind: choice({ values: ['small', 'none'], default: 'small', description: '' }),
    };
    const seen: string[] = [];
    const declare = define({
      attributes,
      checkAttributes: ({ size }: { size: number }) => (size === 48 ? 'size is 48; expected 16 or 32' : undefined),
      regions: (values: Record<string, unknown>) => {
        seen.push(`${String(values['size'])} ${String(values['wide'])} ${String(values['kind'])}`);
        return { bar0: mmio(block(msixRegisters(places))) };
      },
    });
    expect(declare).not.toThrow();
    expect(seen).toEqual(['32 false small', '16 false small', '32 true small', '32 false none']);
    expect(
      define({
        attributes,
        regions: ({ wide }: { wide: boolean }) => (wide ? {} : { bar0: mmio(block(msixRegisters(places))) }),
      }),
    ).toThrow(/^type card: the MSI-X capability/);
    expect(define({ attributes, checkAttributes: () => 'size is 32; expected 16' })).toThrow(
      'type card: its defaults do not go together: size is 32; expected 16',
    );
  });

  test('what the vendor’s functions throw themselves passes as it is', () => {
    const error = new Error('no licence');
    const declare = define({
      regions: () => {
        throw error;
      },
    });
    expect(declare).toThrow(error);
  });
});

test('names of parents are the operator’s, names of drivers the vendor’s', () => {
  const parent = (name: string, driverName: string) => () =>
    new ParentDevice({ name, driverName, types: [], maxInstances: 1 });
  expect(parent('a b', 'acme')).toThrow(MdevError);
  expect(parent('acme0', 'a b')).toThrow(DeclarationError);
});
