import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { hideCapabilities, PciFunction, RegisterRegion } from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';
import { dsaFunction } from './support/dsa-function.ts';
import { walk } from './support/walk.ts';

const names = dsaFunction.capabilities.map(({ name }) => name);

function image(region: RegisterRegion): Uint8Array {
  const bytes = new Uint8Array(region.block.size);
  region.read(0, bytes);
  return bytes;
}

describe('hideCapabilities', () => {
  it('leaves valid chains of what is left, and nothing of what is not, whatever is hidden', () => {
    const whole = image(new RegisterRegion(dsaFunction.block));
    fc.assert(
      fc.property(fc.subarray(names), fc.uint8Array({ minLength: 4096, maxLength: 4096 }), (hidden, junk) => {
        const config = hideCapabilities(dsaFunction, { capabilities: hidden });
        const left = dsaFunction.capabilities.filter(({ name }) => !hidden.includes(name));
        expect(config.capabilities).toEqual(left);
        expect(config.hidden.map(({ name }) => name).sort()).toEqual([...hidden].sort());
        const region: RegisterRegion = new RegisterRegion(config.block);
        const fresh = image(region);
        const found = walk(region, config.size);
        // Null capabilities may begin the extended chain.
        expect(found.filter(({ id }) => id !== 0)).toEqual(
          left.map(({ id, version, offset }) => ({ id, version, offset })),
        );
        for (const { offset } of found.filter(({ id }) => id === 0)) expect(offset).toBe(0x100);
        region.write(0, junk);
        const bytes = image(region);
        for (const { offset, size } of config.hidden) {
          const start = offset === 0x100 ? offset + 4 : offset;
          expect(bytes.subarray(start, offset + size).every((byte) => byte === 0)).toBe(true);
        }
        // What is left differs from the whole in its links only.
        for (const { version, offset, size } of left) {
          const start = offset + (version === undefined ? 2 : 4);
          expect(fresh.subarray(start, offset + size)).toEqual(whole.subarray(start, offset + size));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('clears the capability list when none is left', () => {
    const config = hideCapabilities(dsaFunction, { capabilities: names });
    const region = new RegisterRegion(config.block);
    expect(readNumber(region, 0x04, 4)).toBe(0n);
    expect(readNumber(region, 0x34, 1)).toBe(0n);
    expect(readNumber(region, 0x100, 4)).toBe(0n);
    region.reset('function');
    expect(readNumber(region, 0x06, 2)).toBe(0n);
  });

  it('hides single fields, from whoever acts on them too', () => {
    const config = hideCapabilities(dsaFunction, {
      fields: ['PCIE.DEVCAP.functionLevelReset', 'VC.VC1.CONTROL.id', 'PCIE.DEVCTL.noSnoop'],
    });
    const log: string[] = [];
    const pci = new PciFunction(config, { functionReset: () => log.push('reset') });
    const region = new RegisterRegion(config.block, { hooks: pci.hooks });
    pci.bind(region);
    expect(readNumber(region, 0x44, 4)).toBe(0x0000_8022n);
    expect(readNumber(region, 0x190, 4)).toBe(0n);
    region.write(0x190, bytesOf(0xffff_ffffn, 4));
    expect(readNumber(region, 0x190, 4)).toBe(0x8000_00fen);
    region.write(0x48, bytesOf(0xffffn, 2));
    expect(log).toEqual([]);
    expect(readNumber(region, 0x48, 2)).toBe(0x71ffn);
    expect(config.capabilities.map(({ name }) => name)).toEqual(names);
  });

  it('does not act on a hidden capability, nor call its hooks', () => {
    const log: string[] = [];
    const config = hideCapabilities(dsaFunction, { capabilities: ['MSIX', 'PM', 'ATS'] });
    const pci = new PciFunction(
      config,
      { msixControl: () => log.push('msix'), powerState: () => log.push('power') },
      { ATS: { CONTROL: { afterWrite: () => void log.push('ats'), beforeRead: () => void log.push('ats read') } } },
    );
    const region = new RegisterRegion(config.block, { hooks: pci.hooks });
    pci.bind(region);
    for (const offset of [0x82, 0x94, 0x226]) {
      region.write(offset, bytesOf(0xffffn, 2));
      expect(readNumber(region, offset, 2)).toBe(0n);
    }
    expect(log).toEqual([]);
    // The device need not know.
    region.registers.ATS.CONTROL.enable = true;
    expect(region.registers.ATS.CONTROL.enable).toBe(true);
    expect(readNumber(region, 0x226, 2)).toBe(0n);
  });

  it('gives the same object for the same parts, adds up, and names what there is not', () => {
    const once = hideCapabilities(dsaFunction, { capabilities: ['ATS', 'PRI'] });
    expect(hideCapabilities(dsaFunction, { capabilities: ['PRI', 'ATS'] })).toBe(once);
    expect(hideCapabilities(hideCapabilities(dsaFunction, { capabilities: ['PRI'] }), { capabilities: ['ATS'] })).toBe(
      once,
    );
    expect(hideCapabilities(dsaFunction, {})).toBe(dsaFunction);
    const hide = (parts: object) => () => hideCapabilities(dsaFunction, parts);
    expect(hide({ capabilities: ['SRIOV'] })).toThrow('hide SRIOV: there is no capability SRIOV, only PCIE, MSIX, PM');
    expect(hide({ fields: ['PCIE.DEVCAP9.x'] })).toThrow('hide PCIE.DEVCAP9.x: there is no DEVCAP9');
    expect(hide({ fields: ['PCIE.DEVCAP.x'] })).toThrow('hide PCIE.DEVCAP.x: there is no field x');
    expect(hide({ fields: ['COMMAND.busMaster'] })).toThrow('there is no capability COMMAND');
  });
});
