import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  advancedErrorReporting,
  configSpace,
  type CorrectableError,
  PciFunction,
  pciExpress,
  RegisterRegion,
  type UncorrectableError,
} from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';

const identity = { vendorId: 0x1234, deviceId: 0x5678, classCode: 0xff0000 };
const DEVCTL = 0x48;

function make(options: Parameters<typeof advancedErrorReporting>[0] = {}) {
  const config = configSpace({
    ...identity,
    capabilities: [pciExpress({ functionLevelReset: true }), advancedErrorReporting(options)],
  });
  const pci = new PciFunction(config, {});
  const region = new RegisterRegion(config.block, { hooks: pci.hooks });
  pci.bind(region);
  const read = (offset: number): number => Number(readNumber(region, offset, 4));
  const write = (offset: number, value: number): void => {
    region.write(offset, bytesOf(BigInt(value), 4));
  };
  return { pci, region, read, write };
}

describe('AER', () => {
  it('has the bits and defaults that the specification prints', () => {
    const { read, write } = make({ ecrcCheck: true });
    expect([0x100, 0x104, 0x108, 0x10c, 0x110, 0x114, 0x118].map(read)).toEqual([
      0x0002_0001, 0, 0x0440_0000, 0x0046_2030, 0, 0x0000_e000, 0x0000_0080,
    ]);
    for (let at = 0x104; at < 0x148; at += 4) write(at, 0xffff_ffff);
    expect([0x104, 0x108, 0x10c, 0x110, 0x114, 0x118, 0x11c, 0x138].map(read)).toEqual([
      0, 0x07ff_f030, 0x07ff_f030, 0, 0xf1c1, 0x0000_0180, 0, 0,
    ]);
  });

  it('leaves out errors that the function does not have', () => {
    const { read, write, pci } = make({ uncorrectable: ['internal', 'completionTimeout'], correctable: ['internal'] });
    expect([read(0x108), read(0x10c), read(0x114)]).toEqual([0x0040_0000, 0x0040_0000, 0x4000]);
    for (const at of [0x108, 0x10c, 0x114]) write(at, 0xffff_ffff);
    expect([read(0x108), read(0x10c), read(0x114)]).toEqual([0x0040_4000, 0x0040_4000, 0x4000]);
    expect(() => pci.recordError({ uncorrectable: 'ecrc' })).toThrow('UNCORRECTABLE_STATUS.ecrc is no error');
    expect(() => pci.recordError({ correctable: 'badTlp' })).toThrow('CORRECTABLE_STATUS.badTlp is no error');
    expect(() => advancedErrorReporting({ uncorrectable: ['internal'], fatal: ['ecrc'] })).toThrow(
      'advancedErrorReporting: fatal has ecrc, expected some of internal',
    );
    expect(() => advancedErrorReporting({ correctable: ['x' as 'badTlp'] })).toThrow('correctable has x');
  });

  it('logs the first error until the guest has cleared it', () => {
    const { pci, read, write } = make();
    write(DEVCTL, 0xf);
    expect(pci.recordError({ uncorrectable: 'completionTimeout', header: [1, 2, 3, 0xffff_ffff] })).toBe('nonFatal');
    expect(read(0x104)).toBe(1 << 14);
    expect(read(0x118) & 0x1f).toBe(14);
    expect([0x11c, 0x120, 0x124, 0x128].map(read)).toEqual([1, 2, 3, 0xffff_ffff]);
    expect(pci.recordError({ uncorrectable: 'malformedTlp', header: [5, 6, 7, 8] })).toBe('fatal');
    expect(read(0x104)).toBe((1 << 14) | (1 << 18));
    // The log is full: that is a correctable error, masked at first.
    expect([read(0x118) & 0x1f, read(0x11c), read(0x110)]).toEqual([14, 1, 1 << 15]);
    expect(read(DEVCTL) >>> 16).toBe(0x7);
    write(0x104, 1 << 14);
    expect(pci.recordError({ uncorrectable: 'poisonedTlp', header: [9, 9, 9, 9] })).toBe('nonFatal');
    expect([read(0x118) & 0x1f, read(0x11c)]).toEqual([12, 9]);
    expect(read(0x04) >>> 16).toBe(0x8010);
  });

  it('sends what is enabled, by DEVCTL or by SERR', () => {
    const { pci, read, write } = make();
    expect(pci.recordError({ correctable: 'receiver' })).toBeUndefined();
    expect(pci.recordError({ uncorrectable: 'malformedTlp' })).toBeUndefined();
    expect(read(DEVCTL) >>> 16).toBe(0x5);
    write(0x04, 0x100);
    expect(pci.recordError({ uncorrectable: 'malformedTlp' })).toBe('fatal');
    expect(pci.recordError({ uncorrectable: 'unsupportedRequest' })).toBe('nonFatal');
    expect(pci.recordError({ correctable: 'receiver' })).toBeUndefined();
    expect(read(0x04) >>> 16).toBe(0x4010);
    write(0x04, 0x4000_0000);
    expect(read(0x04)).toBe(0x0010_0000);
    write(DEVCTL, 0x2);
    expect(pci.recordError({ uncorrectable: 'unsupportedRequest' })).toBeUndefined();
    write(DEVCTL, 0xa);
    expect(pci.recordError({ uncorrectable: 'unsupportedRequest' })).toBe('nonFatal');
    write(0x10c, 1 << 20);
    expect(pci.recordError({ uncorrectable: 'unsupportedRequest' })).toBeUndefined();
    write(DEVCTL, 0x1);
    expect(pci.recordError({ correctable: 'receiver' })).toBe('correctable');
    write(0x114, 1);
    expect(pci.recordError({ correctable: 'receiver' })).toBeUndefined();
  });

  it('makes an advisory error a correctable one, unless it is fatal', () => {
    const { pci, read, write } = make();
    const error = { uncorrectable: 'completerAbort', advisory: true, header: [1, 2, 3, 4] } as const;
    write(DEVCTL, 0xf);
    expect(pci.recordError(error)).toBeUndefined();
    expect([read(0x104), read(0x110), read(DEVCTL) >>> 16, read(0x11c)]).toEqual([0, 1 << 13, 1, 0]);
    write(0x114, 0);
    expect(pci.recordError(error)).toBe('correctable');
    expect([read(0x104), read(0x118) & 0x1f, read(0x11c)]).toEqual([1 << 15, 15, 1]);
    expect(read(0x04) >>> 16).toBe(0x0810);
    write(0x10c, 1 << 15);
    expect(pci.recordError(error)).toBe('fatal');
  });

  it('keeps its registers over a function-level reset, not over a cold one', () => {
    const { pci, read, write } = make();
    pci.recordError({ uncorrectable: 'completionTimeout', header: [1, 2, 3, 4] });
    write(0x10c, 0x1000);
    pci.reset('function');
    expect([read(0x104), read(0x118), read(0x11c), read(0x10c)]).toEqual([1 << 14, 14, 1, 0x1000]);
    pci.reset('cold');
    expect([read(0x104), read(0x118), read(0x11c), read(0x10c)]).toEqual([0, 0, 0, 0x0046_2030]);
  });

  it('honours the masks, whatever they are', () => {
    const errors = Object.keys(make().region.registers.AER.UNCORRECTABLE_MASK) as (UncorrectableError | 'value')[];
    const uncorrectable = errors.filter((name) => name !== 'value');
    const word = fc.integer({ min: 0, max: 0xffff_ffff }).map((value) => value >>> 0);
    fc.assert(
      fc.property(
        fc.constantFrom(...uncorrectable),
        fc.record({ mask: word, severity: word, control: fc.nat({ max: 15 }), serr: fc.boolean() }),
        (error, { mask, severity, control, serr }) => {
          const { pci, region, read, write } = make();
          write(0x04, serr ? 0x100 : 0);
          write(DEVCTL, control);
          write(0x108, mask);
          write(0x10c, severity);
          const message = pci.recordError({ uncorrectable: error, header: [7, 7, 7, 7] });
          const { UNCORRECTABLE_MASK, UNCORRECTABLE_SEVERITY, UNCORRECTABLE_STATUS } = region.registers.AER;
          const fatal = UNCORRECTABLE_SEVERITY[error];
          const byDevice = (control & (fatal ? 4 : 2)) !== 0 && (error !== 'unsupportedRequest' || (control & 8) !== 0);
          const sent = !UNCORRECTABLE_MASK[error] && (serr || byDevice);
          expect(UNCORRECTABLE_STATUS[error]).toBe(true);
          expect(message).toBe(sent ? (fatal ? 'fatal' : 'nonFatal') : undefined);
          expect(read(0x11c)).toBe(UNCORRECTABLE_MASK[error] ? 0 : 7);
          expect((read(0x04) >>> 30) & 1).toBe(sent && serr ? 1 : 0);
          expect(read(DEVCTL) >>> 16).toBe((fatal ? 4 : 2) | (error === 'unsupportedRequest' ? 8 : 0));
        },
      ),
    );
  });

  it('is not needed to record an error', () => {
    const config = configSpace(identity);
    const pci = new PciFunction(config, {});
    pci.bind(new RegisterRegion(config.block, { hooks: pci.hooks }));
    expect(pci.recordError({ uncorrectable: 'internal' })).toBeUndefined();
    pci.region.registers.COMMAND.systemErrorEnable = true;
    expect(pci.recordError({ uncorrectable: 'internal' })).toBe('fatal');
    expect(pci.recordError({ correctable: 'badDllp' satisfies CorrectableError })).toBeUndefined();
    expect(pci.region.registers.STATUS.signaledSystemError).toBe(true);
  });
});
