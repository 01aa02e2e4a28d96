import { describe, expect, it, test } from 'vitest';

import {
  defaultPlatformCapabilities,
  defineMdevType,
  MdevRegistry,
  ParentDevice,
  parsePlatform,
  PLATFORM_SWITCHES,
  type PlatformOverrides,
  switchText,
} from '../../../src/mdev/index.ts';
import { plainCard } from '../support/plain-card.ts';

test('the table has every switch, with its default', () => {
  const { dma, ...others } = defaultPlatformCapabilities;
  const limits = Object.entries(dma).map(([name, value]): [string, unknown] => [`dma.${name}`, value]);
  const expected = { ...others, ...Object.fromEntries(limits) };
  expect(Object.fromEntries(Object.entries(PLATFORM_SWITCHES).map(([name, one]) => [name, one.default]))).toEqual(
    expected,
  );
});

/** Values that no switch takes, and how the error shows them. */
const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ['answersWithin', NaN, /answersWithin is "NaN"; expected 1 to 2147483647/],
  ['answersWithin', Infinity, /answersWithin is "Infinity"/],
  ['answersWithin', -1, /answersWithin is "-1"/],
  ['answersWithin', '4000', /answersWithin is "4000"/],
  ['msixOwner', 'gues', /msixOwner is "gues"; expected client, device/],
  ['reportErrors', 'no', /reportErrors is "no"; expected true or false/],
  ['hiddenCapabilities', 'ATS', /hiddenCapabilities is "ATS"; expected names separated by commas/],
  ['dma', 5, /platform: dma is "5"; expected limits by name/],
  ['dma', { maxMapings: 5 }, /no platform switch "dma.maxMapings"; did you mean "dma.maxMappings"\?/],
  ['dma', { pageSizes: 4096 }, /dma.pageSizes is "4096"/],
  ['dma', { windows: [{ first: 0, last: 1 }] }, /dma.windows is "\[object Object\]"/],
  ['answerWithin', 3, /no platform switch "answerWithin"; did you mean "answersWithin"\?/],
];

describe.each(WRONG)('%s = %s', (name, value, message) => {
  const platform = { [name]: value } as PlatformOverrides;

  it('is refused by who creates an instance', async () => {
    await expect(plainCard({}, platform)).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is refused where a type is declared', () => {
    const pci = { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] } as const;
    expect(() => defineMdevType({ id: 'plain', pci, regions: {}, platform, create: () => ({}) })).toThrow(message);
  });
});

describe('switches as text', () => {
  it('become values', () => {
    expect(
      parsePlatform({
        reportErrors: 'true',
        answersWithin: '0x10',
        msixOwner: 'device',
        hiddenCapabilities: 'ATS, PRI',
        hiddenFields: '',
        'dma.maxMappings': '7',
        'dma.windows': '0-0xff, 4096-0x10000000000',
        'dma.pageSizes': '0x1000',
      }),
    ).toEqual({
      reportErrors: true,
      answersWithin: 16,
      msixOwner: 'device',
      hiddenCapabilities: ['ATS', 'PRI'],
      hiddenFields: [],
      dma: {
        maxMappings: 7,
        windows: [
          { first: 0n, last: 0xffn },
          { first: 4096n, last: 1n << 40n },
        ],
        pageSizes: 0x1000n,
      },
    });
    expect(parsePlatform({})).toEqual({});
  });

  it.each([
    [{ reportErrors: 'maybe' }, 'platform: reportErrors is "maybe"; expected true or false'],
    [{ answersWithin: '0' }, 'platform: answersWithin is "0"; expected 1 to 2147483647'],
    [{ hiddenCapabilities: 'ATS,,PRI' }, 'platform: hiddenCapabilities is "ATS,,PRI"'],
    [{ 'dma.maxMappings': '0' }, 'platform: dma.maxMappings is "0"'],
    [{ 'dma.windows': '0-1-2' }, 'platform: dma.windows is "0-1-2"; expected FIRST-LAST separated by commas'],
    [{ 'dma.windows': '0x' }, 'platform: dma.windows is "0x"'],
    [{ 'dma.pageSizes': '-1' }, 'platform: dma.pageSizes is "-1"'],
    [{ 'dma.maxMapping': '1' }, 'no platform switch "dma.maxMapping"; did you mean "dma.maxMappings"?'],
    [{ dma: '1' }, 'there is no platform switch "dma"'],
    [{ constructor: '1' }, 'there is no platform switch "constructor"'],
  ])('%o is refused', (input, message) => {
    expect(() => parsePlatform(input)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => parsePlatform(input)).toThrow(message);
  });
});

describe('an operator’s word', () => {
  const windows = [{ first: 0n, last: 0xffff_ffffn }];

  it('on one limit of DMA leaves the vendor’s others', async () => {
    const type = defineMdevType({
      id: 'narrow',
      pci: { vendorId: 1, deviceId: 2, classCode: 0x088000, capabilities: [] },
      regions: {},
      platform: { dma: { windows, maxMappings: 9 }, reportErrors: true },
      create: () => ({}),
    });
    const registry = new MdevRegistry();
    registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 2 }));
    const { dma } = defaultPlatformCapabilities;
    const vendors = await registry.create({ parent: 'acme0', type: 'narrow' });
    expect(vendors.platform).toMatchObject({ reportErrors: true, dma: { ...dma, windows, maxMappings: 9 } });
    const operators = await registry.create({
      parent: 'acme0',
      type: 'narrow',
      platform: parsePlatform({ 'dma.maxMappings': '100', reportErrors: 'false' }),
    });
    expect(operators.platform).toMatchObject({ reportErrors: false, dma: { ...dma, windows, maxMappings: 100 } });
    await registry.close();
  });
});

test('a value as text is read as the same value', () => {
  for (const [name, known] of Object.entries(PLATFORM_SWITCHES)) {
    const text = switchText(known, known.default);
    expect(parsePlatform({ [name]: text })).toEqual(
      name.startsWith('dma.') ? { dma: { [name.slice(4)]: known.default } } : { [name]: known.default },
    );
  }
});
