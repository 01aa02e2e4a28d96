// An independent reader: pciutils decodes config spaces with arbitrary values, and must find in them what was declared.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  addressTranslation,
  advancedErrorReporting,
  type ConfigSpace,
  configSpace,
  describe as describeBlock,
  deviceSerialNumber,
  hideCapabilities,
  ioBar,
  memoryBar,
  msi,
  msix,
  pageRequest,
  pasid,
  pciExpress,
  PciExpressType,
  powerManagement,
  RegisterRegion,
  vendorSpecific,
  vendorSpecificExtended,
} from '../../src/emulation/index.ts';
import { dsaFunction, vectors } from '../emulation/pci/support/dsa-function.ts';
import { viewAt } from '../support/registers.ts';
import { decode } from './support/decode.ts';
import { readings } from './support/readings.ts';

const VARIANTS = 30;
const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 } as const;

const endpoint = configSpace({
  ...identity,
  interruptPin: 1,
  bars: { 0: memoryBar({ size: 4096, width: 32 }), 1: ioBar({ size: 32 }), 2: memoryBar({ size: 0x10000 }) },
  rom: { size: 0x10000 },
  capabilities: [
    vendorSpecific({ name: 'VENDOR', size: 12, registers: {} }),
    msi({ vectors: 32 }),
    pciExpress({ functionLevelReset: true, type: PciExpressType.endpoint }),
    msix(vectors),
    powerManagement({ pme: ['D0', 'D3cold'] }),
    advancedErrorReporting(),
    vendorSpecificExtended({ name: 'VSEC', id: 0xbeef, revision: 9, size: 0x24, registers: {} }),
    pasid({ execute: true, privileged: true }),
    addressTranslation(),
    deviceSerialNumber({ serial: 0xfedc_ba98_7654_3210n }),
    pageRequest({ capacity: 64 }),
  ],
});
const conventional = configSpace({
  ...identity,
  interruptPin: 4,
  minimumGrant: 8,
  bars: { 3: ioBar({ size: 4 }), 5: memoryBar({ size: 64, width: 32, prefetchable: true }) },
  capabilities: [
    powerManagement({ d1: true, d2: true, pme: ['D1', 'D2'] }),
    msi({ vectors: 1, address64: false, perVectorMasking: false }),
  ],
});
const hidden = hideCapabilities(endpoint, {
  capabilities: ['AER', 'VENDOR', 'PM'],
  fields: ['PCIE.DEVCAP.functionLevelReset'],
});

/** What says where things are, or what the rest means, stays as it is declared. */
const FIXED =
  /^(VENDOR_ID|DEVICE_ID|CLASS_REVISION|HEADER_TYPE|BIST|CARDBUS_CIS|SUBSYSTEM|CAPABILITIES_POINTER|INTERRUPT_PIN|BAR|EXPANSION_ROM|MIN_GNT|MAX_LAT|STATUS\.capabilitiesList|.*\.(ID|NEXT|HEADER|LENGTH|VSEC_HEADER|CAPS|PMC\.version|LNKCAP|LNKSTS)(\.|$)|MSI\.CONTROL\.(address64|perVectorMasking|multipleMessage))/;

interface Variant {
  readonly region: RegisterRegion;
  readonly image: Uint8Array;
}

function variantsOf({ block, size }: ConfigSpace): readonly Variant[] {
  const words = fc.sample(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 400, maxLength: 400 }), {
    numRuns: VARIANTS,
    seed: 20_261_121,
  });
  return words.map((draws) => {
    const region = new RegisterRegion(block);
    let next = 0;
    for (const { path, fields } of describeBlock(block))
      for (const { name, msb, lsb } of fields) {
        const bits = BigInt.asUintN(msb - lsb + 1, draws[next++ % draws.length] ?? 0n);
        if (FIXED.test(`${path}.${name}`)) continue;
        const view = viewAt(region, path);
        view[name] = typeof view[name] === 'boolean' ? bits === 1n : Number(bits);
      }
    const image = new Uint8Array(size);
    region.read(0, image);
    return { region, image };
  });
}

/** The lines of a section that a label begins, up to the next label. */
function labelled(section: string, label: string): string {
  const lines = section.split('\n');
  const first = lines.findIndex((line) => line.trimStart().startsWith(`${label}:`));
  if (first < 0) return '';
  const rest = lines.slice(first + 1);
  const end = rest.findIndex((line) => /^\s*\w[\w ]*:\s/.test(line) || line.includes('Capabilities:'));
  return [lines[first], ...rest.slice(0, end < 0 ? rest.length : end)].join('\n');
}

describe.each([
  ['an endpoint with everything', endpoint],
  ['a conventional function', conventional],
  ['DSA 1.0', dsaFunction as ConfigSpace],
  ['an endpoint with hidden parts', hidden],
])('%s', (_, config) => {
  const variants = variantsOf(config);
  const texts = decode(variants.map(({ image }) => image));

  it('is read field by field as it is declared, whatever its values', () => {
    expect(texts).toHaveLength(VARIANTS);
    let checked = 0;
    variants.forEach(({ region }, i) => {
      const text = texts[i] ?? '';
      const [header = '', ...sections] = text.split(/^(?=\tCapabilities: )/m);
      const values = new Map(
        describeBlock(config.block, region).flatMap(({ path, fields }) =>
          fields.map(({ name, current, access }) => [`${path}.${name}`, access === 'none' ? 0 : Number(current)]),
        ),
      );
      const value = (path: string): number => {
        const found = values.get(path);
        if (found === undefined) throw new Error(`there is no ${path}`);
        return found;
      };
      for (const { capability, label, flags = {}, words } of readings) {
        const place = config.capabilities.find(({ name }) => name === capability)?.offset;
        if (capability !== undefined && place === undefined) continue;
        const section =
          place === undefined
            ? header
            : sections.find((part) => part.startsWith(`\tCapabilities: [${place.toString(16)}`));
        expect(section, `${capability} of ${text}`).toBeDefined();
        const line = label === undefined ? '' : labelled(section ?? '', label);
        for (const [flag, path] of Object.entries(flags)) {
          const escaped = flag.replace(/[/<>]/g, '\\$&');
          const sign = new RegExp(`(?:^|[\\s,:(])${escaped}([+-])(?![\\w])`, 'm').exec(line)?.[1];
          expect(sign, `${path} as ${flag} in ${line}`).toBe(value(path) === 0 ? '-' : '+');
          checked += 1;
        }
        for (const word of words?.(value) ?? []) {
          expect(`${section} `, `${capability}`).toContain(word);
          checked += 1;
        }
      }
    });
    expect(checked).toBeGreaterThan(20 * VARIANTS);
  });

  it('has the chains that it is declared with, and nothing that pciutils complains about', () => {
    for (const text of texts) {
      const chain = [...text.matchAll(/^\tCapabilities: \[([0-9a-f]+)(?: v(\d+))?\]/gm)].map(
        ([, at = '', version]) => ({
          offset: parseInt(at, 16),
          version: version === undefined ? undefined : Number(version),
        }),
      );
      const visible = chain.filter(({ version }) => version !== 0);
      expect(visible).toEqual(config.capabilities.map(({ offset, version }) => ({ offset, version })));
      expect(text).not.toMatch(/<chain|corrupted|broken/);
    }
  });
});

it('BARs, ROM and INTx are read at the addresses that the guest gave', () => {
  const region = new RegisterRegion(endpoint.block);
  const { registers } = region;
  Object.assign(registers.COMMAND, { memorySpace: true, ioSpace: true, busMaster: true });
  registers.BAR0.value = 0xfebf_1000;
  registers.BAR1.value = 0xc041;
  registers.BAR2.value = 0x8001_0004;
  registers.BAR3.value = 0x12;
  registers.EXPANSION_ROM.value = 0xfea0_0001;
  registers.INTERRUPT_LINE.line = 11;
  registers.CACHE_LINE_SIZE.size = 16;
  const image = new Uint8Array(4096);
  region.read(0, image);
  const [text = ''] = decode([image]);
  for (const word of [
    'Region 0: Memory at febf1000 (32-bit, non-prefetchable)',
    'Region 1: I/O ports at c040',
    'Region 2: Memory at 1280010000 (64-bit, non-prefetchable)',
    'Expansion ROM at fea00000',
    'Interrupt: pin A routed to IRQ 11',
    'Cache Line Size: 64 bytes',
  ])
    expect(text).toContain(word);
});
