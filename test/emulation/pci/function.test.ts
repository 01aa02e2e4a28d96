import { describe, expect, it } from 'vitest';

import {
  configSpace,
  ioBar,
  memoryBar,
  msi,
  PciFunction,
  pciExpress,
  type PciHost,
  powerManagement,
  reg16,
  RegisterRegion,
  rw,
} from '../../../src/emulation/index.ts';
import { bytesOf, readNumber } from '../support/bytes.ts';
import { dsaFunction } from './support/dsa-function.ts';

function recorder(): { readonly log: string[]; readonly host: Required<PciHost> } {
  const log: string[] = [];
  return {
    log,
    host: {
      memoryDecode: (enabled) => void log.push(`memory ${enabled ? 'on' : 'off'}`),
      ioDecode: (enabled) => void log.push(`io ${enabled ? 'on' : 'off'}`),
      romDecode: (enabled) => void log.push(`rom ${enabled ? 'on' : 'off'}`),
      intxDisabled: (disabled) => void log.push(`intx ${disabled ? 'off' : 'on'}`),
      interruptStatus: () => true,
      busMaster: (enabled) => void log.push(`master ${enabled ? 'on' : 'off'}`),
      functionReset: (cause) => void log.push(`reset by ${cause}`),
      msixControl: ({ enabled, masked }) => void log.push(`msix ${enabled ? 'on' : 'off'}${masked ? ' masked' : ''}`),
      msiControl: ({ enabled, vectors }) => void log.push(`msi ${enabled ? 'on' : 'off'} ${vectors}`),
      msiMask: (mask) => void log.push(`msi mask ${mask}`),
      powerState: (state) => void log.push(`D${state}`),
    },
  };
}

function make() {
  const { log, host } = recorder();
  const pci = new PciFunction(dsaFunction, host);
  const region = new RegisterRegion(dsaFunction.block, { hooks: pci.hooks });
  pci.bind(region);
  return {
    log,
    pci,
    region,
    write: (offset: number, value: number, size: number): readonly string[] => {
      log.length = 0;
      region.write(offset, bytesOf(BigInt(value), size));
      return [...log];
    },
  };
}

const COMMAND = 0x04;
const DEVCTL = 0x48;
const MSIX_CONTROL = 0x82;
const PMCSR = 0x94;

describe('PciFunction', () => {
  it('tells changes of the command register, once each', () => {
    const { write, log } = make();
    expect(log).toEqual([]);
    expect(write(COMMAND, 0x0006, 2)).toEqual(['memory on', 'master on']);
    expect(write(COMMAND, 0x0006, 2)).toEqual([]);
    expect(write(COMMAND, 0x0146, 4)).toEqual([]);
    expect(write(COMMAND, 0x02, 1)).toEqual(['master off']);
    expect(write(COMMAND + 1, 0x00, 1)).toEqual([]);
    expect(write(COMMAND, 0x0004, 2)).toEqual(['memory off', 'master on']);
  });

  it('tells changes of MSI-X, whatever width they come in', () => {
    const { write, region } = make();
    expect(write(MSIX_CONTROL, 0xc008, 2)).toEqual(['intx off', 'msix on masked']);
    expect(write(MSIX_CONTROL, 0x8008, 2)).toEqual(['msix on']);
    expect(write(MSIX_CONTROL + 1, 0x00, 1)).toEqual(['intx on', 'msix off']);
    expect(write(MSIX_CONTROL - 2, 0x8000_0000, 4)).toEqual(['intx off', 'msix on']);
    expect(readNumber(region, MSIX_CONTROL, 2)).toBe(0x8008n);
  });

  it.each([
    ['word', DEVCTL, 0xa910, 2],
    ['dword', DEVCTL, 0xa910, 4],
    ['byte', DEVCTL + 1, 0x80, 1],
  ])('performs a function-level reset on a %s write', (_, offset, value, size) => {
    const { write, region, pci } = make();
    write(COMMAND, 0x0146, 2);
    write(MSIX_CONTROL, 0xc000, 2);
    write(0x10, 0xffff_0000, 4);
    write(DEVCTL, 0x2930, 2);
    region.registers.AER.UNCORRECTABLE_STATUS.internal = true;
    expect(write(offset, value, size)).toEqual(['memory off', 'master off', 'intx on', 'msix off', 'reset by flr']);
    expect(readNumber(region, COMMAND, 2)).toBe(0n);
    expect(pci.barAddress(0)).toBe(0n);
    expect(region.registers.AER.UNCORRECTABLE_STATUS.internal).toBe(true);
    // Bit 15 reads 0; the maximum payload size stays, unless the same write changed it.
    expect(readNumber(region, DEVCTL, 2)).toBe(size === 1 ? 0x2930n : 0x2910n);
    expect(write(DEVCTL, 0x2910, 2)).toEqual([]);
  });

  it('does not reset a function that cannot', () => {
    const { log, host } = recorder();
    const config = configSpace({
      vendorId: 1,
      deviceId: 2,
      classCode: 3,
      capabilities: [pciExpress({ functionLevelReset: false })],
    });
    const pci = new PciFunction(config, host);
    const region = new RegisterRegion(config.block, { hooks: pci.hooks });
    pci.bind(region);
    region.write(DEVCTL, bytesOf(0x8000n, 2));
    expect(log).toEqual([]);
    expect(readNumber(region, DEVCTL, 2)).toBe(0n);
    expect(region.registers.PCIE.DEVCTL.initiateFunctionLevelReset).toBe(false);
  });

  it('leaves memory and bus outside D0, and ignores D1 and D2', () => {
    const { write, region } = make();
    write(COMMAND, 0x0006, 2);
    expect(write(PMCSR, 1, 2)).toEqual([]);
    expect(write(PMCSR, 2, 1)).toEqual([]);
    expect(readNumber(region, PMCSR, 2)).toBe(8n);
    expect(write(PMCSR, 3, 2)).toEqual(['D3', 'memory off', 'master off', 'intx off']);
    expect(write(COMMAND, 0x0000, 2)).toEqual([]);
    expect(write(COMMAND, 0x0006, 2)).toEqual([]);
    expect(write(PMCSR, 2, 2)).toEqual([]);
    expect(readNumber(region, PMCSR, 2)).toBe(0xbn);
    expect(write(PMCSR, 0, 2)).toEqual(['D0', 'memory on', 'master on', 'intx on']);
    expect(readNumber(region, COMMAND, 2)).toBe(6n);
  });

  it('goes down, or back to D0, and nowhere else', () => {
    const { host } = recorder();
    const capabilities = [powerManagement({ noSoftReset: true, d1: true, d2: true })] as const;
    const pci = new PciFunction(configSpace({ vendorId: 1, deviceId: 2, classCode: 3, capabilities }), host);
    const region = new RegisterRegion(pci.config.block, { hooks: pci.hooks });
    pci.bind(region);
    for (const from of [0, 1, 2, 3]) {
      for (const to of [0, 1, 2, 3]) {
        region.write(0x44, bytesOf(0n, 2));
        region.write(0x44, bytesOf(BigInt(from), 2));
        region.write(0x44, bytesOf(BigInt(to), 2));
        const state = Number(readNumber(region, 0x44, 2)) & 3;
        expect([from, to, state]).toEqual([from, to, to === 0 || to >= from ? to : from]);
      }
    }
  });

  it('resets on the way from D3hot unless it says that it does not, and accepts the states that it has', () => {
    const { log, host } = recorder();
    const config = configSpace({
      vendorId: 1,
      deviceId: 2,
      classCode: 3,
      capabilities: [powerManagement({ noSoftReset: false, d2: true })],
    });
    const pci = new PciFunction(config, host);
    const region = new RegisterRegion(config.block, { hooks: pci.hooks });
    pci.bind(region);
    region.write(COMMAND, bytesOf(6n, 2));
    for (const state of [1, 2, 3, 0]) region.write(0x44, bytesOf(BigInt(state), 2));
    const off = ['memory off', 'master off', 'intx off'];
    expect(log).toEqual(['memory on', 'master on', 'D2', ...off, 'D3', 'D0', 'intx on', 'reset by power']);
    expect(readNumber(region, COMMAND, 2)).toBe(0n);
  });

  const ports = configSpace({
    vendorId: 1,
    deviceId: 2,
    classCode: 3,
    interruptPin: 1,
    bars: { 0: memoryBar({ size: 4096, width: 32 }), 1: ioBar({ size: 32 }) },
    rom: { size: 65536 },
    capabilities: [powerManagement()],
  });

  it('tells what COMMAND means for I/O ports, ROM and INTx', () => {
    const { log, host } = recorder();
    const pci = new PciFunction(ports, host);
    const region = new RegisterRegion(ports.block, { hooks: pci.hooks });
    pci.bind(region);
    const write = (offset: number, value: bigint, size: number): readonly string[] => {
      log.length = 0;
      region.write(offset, bytesOf(value, size));
      return [...log];
    };
    expect(write(COMMAND, 1n, 2)).toEqual(['io on']);
    expect(write(0x30, 0xfff0_ffffn, 4)).toEqual([]);
    expect(readNumber(region, 0x30, 4)).toBe(0xfff0_0001n);
    expect(write(COMMAND, 3n, 2)).toEqual(['memory on', 'rom on']);
    expect(write(0x30, 0n, 1)).toEqual(['rom off']);
    expect(write(0x30, 1n, 1)).toEqual(['rom on']);
    expect(write(COMMAND, 0x403n, 2)).toEqual(['intx off']);
    expect(write(0x44, 3n, 2)).toEqual(['D3', 'memory off', 'io off', 'rom off']);
    expect(write(0x44, 0n, 2)).toEqual(['D0', 'memory on', 'io on', 'rom on']);
    expect(write(COMMAND, 0n, 2)).toEqual(['memory off', 'io off', 'rom off', 'intx on']);
    region.write(0x14, bytesOf(0xdead_beefn, 4));
    expect(pci.barAddress(1)).toBe(0xdead_bee0n);
    expect(pci.romAddress()).toBe(0xfff0_0000n);
    expect(new PciFunction(dsaFunction, host).romAddress()).toBeUndefined();
  });

  it('shows in STATUS whether an INTx interrupt is pending, if there is a pin', () => {
    let pending = false;
    const host = { interruptStatus: () => pending };
    const statusOf = (config: typeof ports): bigint => {
      const pci = new PciFunction(config, host);
      const region = new RegisterRegion(config.block, { hooks: pci.hooks });
      pci.bind(region);
      region.write(COMMAND, bytesOf(0x400n, 2));
      return readNumber(region, 6, 2);
    };
    const withoutPin = configSpace({ vendorId: 1, deviceId: 2, classCode: 3, capabilities: [powerManagement()] });
    expect(statusOf(ports)).toBe(0x10n);
    pending = true;
    expect(statusOf(ports)).toBe(0x18n);
    expect(statusOf(withoutPin)).toBe(0x10n);
  });

  it('tells what the guest does to MSI, and gives no more vectors than there are', () => {
    const { log, host } = recorder();
    const config = configSpace({ vendorId: 1, deviceId: 2, classCode: 3, capabilities: [msi({ vectors: 8 })] });
    const pci = new PciFunction(config, host);
    const region = new RegisterRegion(config.block, { hooks: pci.hooks });
    pci.bind(region);
    const write = (offset: number, value: bigint, size: number): readonly string[] => {
      log.length = 0;
      region.write(offset, bytesOf(value, size));
      return [...log];
    };
    expect(write(0x42, 0x0021n, 2)).toEqual(['intx off', 'msi on 4']);
    expect(write(0x42, 0x0071n, 2)).toEqual(['msi on 8']);
    expect(readNumber(region, 0x42, 2)).toBe(0x01b7n);
    expect(write(0x50, 0xffff_ff05n, 4)).toEqual(['msi mask 5']);
    expect(write(0x50, 0n, 1)).toEqual(['msi mask 0']);
    expect(write(0x40, 0n, 4)).toEqual(['intx on', 'msi off 1']);
    region.write(0x42, bytesOf(0x31n, 2));
    region.write(0x50, bytesOf(0xffn, 1));
    log.length = 0;
    pci.reset('function');
    expect(log).toEqual(['intx on', 'msi mask 0', 'msi off 1']);
  });

  it('is reset from outside without being told so', () => {
    const { write, log, pci } = make();
    write(COMMAND, 6, 2);
    log.length = 0;
    pci.reset('cold');
    expect(log).toEqual(['memory off', 'master off']);
  });

  it('tells what a restored snapshot changed', () => {
    const first = make();
    first.write(COMMAND, 6, 2);
    first.write(MSIX_CONTROL, 0x8000, 2);
    const second = make();
    second.region.restore(first.region.snapshot());
    second.pci.synchronize();
    expect(second.log).toEqual(['memory on', 'master on', 'intx off', 'msix on']);
    const { log, host } = recorder();
    const pci = new PciFunction(dsaFunction, host);
    const region = new RegisterRegion(dsaFunction.block, { hooks: pci.hooks });
    region.restore(first.region.snapshot());
    pci.bind(region);
    expect(log).toEqual(['memory on', 'master on', 'intx off', 'msix on']);
  });

  it('stands a host that resets it while it is told something', () => {
    const { log, host } = recorder();
    const pci: PciFunction = new PciFunction(dsaFunction, {
      ...host,
      memoryDecode(enabled) {
        host.memoryDecode(enabled);
        if (enabled) pci.reset('function');
      },
    });
    const region: RegisterRegion = new RegisterRegion(dsaFunction.block, { hooks: pci.hooks });
    pci.bind(region);
    region.write(COMMAND, bytesOf(6n, 2));
    expect(log).toEqual(['memory on', 'memory off']);
    expect(readNumber(region, COMMAND, 2)).toBe(0n);
  });

  it('knows where its BARs are', () => {
    const { write, pci } = make();
    write(0x18, 0x8002_0000, 4);
    write(0x1c, 0x12, 4);
    expect(pci.barAddress(2)).toBe(0x12_8002_0000n);
    expect(pci.barAddress(0)).toBe(0n);
    expect(pci.barAddress(3)).toBeUndefined();
    const config = configSpace({
      vendorId: 1,
      deviceId: 2,
      classCode: 3,
      bars: { 5: memoryBar({ size: 64, width: 32 }) },
    });
    const small = new PciFunction(config, recorder().host);
    const region = new RegisterRegion(config.block, { hooks: small.hooks });
    small.bind(region);
    region.write(0x24, bytesOf(0xdead_beefn, 4));
    expect(small.barAddress(5)).toBe(0xdead_bec0n);
  });

  it('lets a vendor hook the other registers', () => {
    const seen: boolean[] = [];
    const pci = new PciFunction(dsaFunction, recorder().host, {
      ATS: { CONTROL: { afterWrite: ({ enable }) => void seen.push(enable) } },
      PCIE: { DEVCTL2: { afterWrite: () => undefined } },
    });
    const region = new RegisterRegion(dsaFunction.block, { hooks: pci.hooks });
    pci.bind(region);
    region.write(0x226, bytesOf(0x8000n, 2));
    expect(seen).toEqual([true]);
    expect(() => new PciFunction(dsaFunction, recorder().host, { COMMAND: { afterWrite: () => undefined } })).toThrow(
      'hooks: COMMAND belongs to the PCI function',
    );
    expect(
      () => new PciFunction(dsaFunction, recorder().host, { PCIE: { DEVCTL: { afterWrite: () => undefined } } }),
    ).toThrow('hooks: PCIE.DEVCTL belongs to the PCI function');
  });

  it('leaves a capability alone that has another shape', () => {
    const { log, host } = recorder();
    const config = configSpace({
      vendorId: 1,
      deviceId: 2,
      classCode: 3,
      capabilities: [{ name: 'MINE', id: 0x11, size: 12, registers: { CONTROL: reg16(2, { all: rw(15, 0) }) } }],
    });
    const pci = new PciFunction(config, host);
    const region = new RegisterRegion(config.block, { hooks: pci.hooks });
    pci.bind(region);
    region.write(0x42, bytesOf(0x8000n, 2));
    expect(log).toEqual([]);
  });

  it('is bound once, to a region of its own', () => {
    const { pci, region } = make();
    expect(pci.region).toBe(region);
    expect(() => {
      pci.bind(region);
    }).toThrow('already bound');
    const free = new PciFunction(dsaFunction, recorder().host);
    expect(() => free.region).toThrow('not bound');
    const other = configSpace({ vendorId: 1, deviceId: 2, classCode: 3 });
    const wrong: PciFunction = free;
    expect(() => {
      wrong.bind(new RegisterRegion(other.block));
    }).toThrow('another register block');
  });
});
