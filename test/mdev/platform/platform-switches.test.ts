import { describe, expect, it, test } from 'vitest';

import {
  defaultPlatformCapabilities,
  defineMdevType,
  parsePlatform,
  PLATFORM_SWITCHES,
  type PlatformCapabilities,
} from '../../../src/mdev/index.ts';
import { plainCard } from '../support/plain-card.ts';

test('the table has every switch, with its default', () => {
  const { dma, ...others } = defaultPlatformCapabilities;
  const { maxDirtyLogBytes, maxMappings } = dma;
  const expected = { ...others, 'dma.maxMappings': maxMappings, 'dma.maxDirtyLogBytes': maxDirtyLogBytes };
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
  ['answerWithin', 3, /no platform switch "answerWithin"; did you mean "answersWithin"\?/],
];

describe.each(WRONG)('%s = %s', (name, value, message) => {
  const platform = { [name]: value } as Partial<PlatformCapabilities>;

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
      }),
    ).toEqual({
      reportErrors: true,
      answersWithin: 16,
      msixOwner: 'device',
      hiddenCapabilities: ['ATS', 'PRI'],
      hiddenFields: [],
      dma: { ...defaultPlatformCapabilities.dma, maxMappings: 7 },
    });
    expect(parsePlatform({})).toEqual({});
  });

  it.each([
    [{ reportErrors: 'maybe' }, 'platform: reportErrors is "maybe"; expected true or false'],
    [{ answersWithin: '0' }, 'platform: answersWithin is "0"; expected 1 to 2147483647'],
    [{ hiddenCapabilities: 'ATS,,PRI' }, 'platform: hiddenCapabilities is "ATS,,PRI"'],
    [{ 'dma.maxMappings': '0' }, 'platform: dma.maxMappings is "0"'],
    [{ dma: '1' }, 'there is no platform switch "dma"'],
    [{ constructor: '1' }, 'there is no platform switch "constructor"'],
  ])('%o is refused', (input, message) => {
    expect(() => parsePlatform(input)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => parsePlatform(input)).toThrow(message);
  });
});
