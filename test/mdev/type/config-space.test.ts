import { describe, expect, test } from 'vitest';

import {
  addressTranslation,
  advancedErrorReporting,
  pciExpress,
  powerManagement,
  reg32,
  registerBlock,
  rw,
  vendorSpecific,
} from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevDevice,
  MdevRegistry,
  mmio,
  ParentDevice,
  type PlatformCapabilities,
  VfioIrq,
} from '../../../src/mdev/index.ts';
import { acmeDevice } from '../support/acme.ts';
import { CONFIG, errnoOf, Guest } from '../support/guest.ts';

const EIO = 5;
const At = { command: 0x04, powerControl: 0x44, deviceControl: 0x58, knob: 0x90, aer: 0x100, ats: 0x148 } as const;

const pci = {
  vendorId: 0x1d0f,
  deviceId: 0xacce,
  classCode: 0x088000,
  capabilities: [
    powerManagement({ offset: 0x40, noSoftReset: false }),
    pciExpress({ offset: 0x50, functionLevelReset: true }),
    vendorSpecific({ name: 'ACME', offset: 0x8c, size: 8, registers: { KNOB: reg32(4, { level: rw(7, 0) }) } }),
    advancedErrorReporting({ offset: 0x100 }),
    addressTranslation({ offset: 0x148 }),
  ],
} as const;

interface Made {
  readonly device: MdevDevice;
  readonly guest: Guest;
  readonly log: string[];
  readonly record: () => string | undefined;
}

async function make(platform: Partial<PlatformCapabilities> = {}): Promise<Made> {
  const log: string[] = [];
  let record: Made['record'] = () => undefined;
  const type = defineMdevType({
    id: 'sleeper',
    pci,
    regions: { bar0: mmio(registerBlock(0x1000, { A: reg32(0, { a: rw(31, 0) }) })) },
    create: ({ config }) => {
      record = () => config.recordError({ uncorrectable: 'completionTimeout', header: [1, 2, 3, 4] });
      return {
        powerState: (state) => log.push(`D${state}`),
        busMaster: (enabled) => log.push(`bus master ${enabled}`),
        reset: (kind) => log.push(`${kind} reset`),
        hooks: {
          config: {
            ACME: {
              KNOB: {
                afterWrite: ({ level }, previous) => {
                  log.push(`${previous.level} -> ${level}`);
                  config.registers.ATS.CONTROL.smallestTranslationUnit = level & 0x1f;
                },
              },
            },
            ATS: { CONTROL: { afterWrite: ({ enable }) => void log.push(`ats ${enable}`) } },
          },
        },
      };
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 4 }));
  const device = await registry.create({ parent: 'acme0', type: 'sleeper', platform });
  const guest = new Guest(device);
  log.length = 0;
  return { device, guest, log, record: () => record() };
}

describe('config space of an instance', () => {
  test('a vendor hooks its capabilities, and reaches all of them from its side', async () => {
    const { guest, log } = await make();
    guest.write32(At.knob, 0x1ff, CONFIG);
    guest.write32(At.ats + 4, 0x8003_0000, CONFIG);
    expect(log).toEqual(['0 -> 255', 'ats true']);
    expect(guest.read32(At.ats + 4, CONFIG)).toBe(0x8003_0060);
    guest.write32(At.knob, 5, CONFIG);
    expect(guest.read32(At.ats + 4, CONFIG)).toBe(0x8005_0060);
  });

  test('registers of the framework are not to be hooked', async () => {
    const hooks = { config: { COMMAND: { afterWrite: () => undefined } } } as object;
    await expect(acmeDevice(() => ({ hooks }))).rejects.toThrow('hooks: COMMAND belongs to the PCI function');
    const nowhere = { config: { SRIOV: {} } } as object;
    await expect(acmeDevice(() => ({ hooks: nowhere }))).rejects.toThrow('hooks: there is no register SRIOV');
  });

  test('a function that sleeps answers in config space only, and tells its behaviour', async () => {
    const { guest, log } = await make();
    guest.write32(0, 0x1234);
    guest.write16(At.powerControl, 3, CONFIG);
    expect(log.splice(0)).toEqual(['D3', 'bus master false']);
    expect(errnoOf(() => guest.read32(0))).toBe(EIO);
    expect(
      errnoOf(() => {
        guest.write32(0, 0);
      }),
    ).toBe(EIO);
    expect(guest.read16(At.command, CONFIG)).toBe(6);
    expect(guest.read32(0, CONFIG)).toBe(0xacce_1d0f);
    // It was declared to lose its state on the way back.
    guest.write16(At.powerControl, 0, CONFIG);
    expect(log).toEqual(['function reset']);
    expect(guest.read16(At.command, CONFIG)).toBe(0);
    guest.write16(At.command, 6, CONFIG);
    expect(guest.read32(0)).toBe(0);
    log.length = 0;
    // A function-level reset ends in D0 without a word.
    guest.write16(At.powerControl, 3, CONFIG);
    guest.write16(At.deviceControl, 0x8000, CONFIG);
    expect(log).toEqual(['D3', 'bus master false', 'function reset']);
    guest.write16(At.powerControl, 3, CONFIG);
    expect(log.at(-1)).toBe('D3');
  });

  test('errors are recorded under the guest’s masks and survive a function-level reset', async () => {
    const { guest, record } = await make();
    expect(record()).toBeUndefined();
    guest.write16(At.deviceControl, 2, CONFIG);
    expect(record()).toBe('nonFatal');
    guest.write16(At.deviceControl, 0x8000, CONFIG);
    expect(guest.read32(At.aer + 4, CONFIG)).toBe(1 << 14);
    expect(guest.read32(At.aer + 0x1c, CONFIG)).toBe(1);
    guest.write32(At.aer + 4, 1 << 14, CONFIG);
    expect(guest.read32(At.aer + 4, CONFIG)).toBe(0);
  });

  test('a platform hides capabilities and fields, and the behaviour need not know', async () => {
    const { device, guest, log, record } = await make({
      hiddenCapabilities: ['ATS', 'PM', 'AER'],
      hiddenFields: ['PCIE.DEVCAP.functionLevelReset'],
    });
    expect(guest.read32(0x34, CONFIG)).toBe(0x50);
    expect(guest.read32(0x54, CONFIG)).toBe(0x8000);
    expect([0x40, 0x44, At.aer, At.aer + 4, At.ats, At.ats + 4].map((at) => guest.read32(at, CONFIG))).toEqual([
      0, 0, 0, 0, 0, 0,
    ]);
    guest.write16(At.powerControl, 3, CONFIG);
    guest.write16(At.deviceControl, 0x8000, CONFIG);
    guest.write32(At.ats + 4, 0x8000_0000, CONFIG);
    expect(log).toEqual([]);
    guest.write32(At.knob, 7, CONFIG);
    expect(log).toEqual(['0 -> 7']);
    guest.write16(At.command, 0x106, CONFIG);
    expect(record()).toBe('nonFatal');
    const { capabilities, configSpace } = device.describe();
    expect(capabilities.map(({ name }) => name)).toEqual(['PCIE', 'ACME']);
    const ats = configSpace.find(({ path }) => path === 'ATS.CONTROL');
    expect(ats?.fields.map(({ access }) => access)).toEqual(['none', 'none']);
  });

  test('an instance without its MSI-X capability has no vectors; what cannot be hidden is the operator’s mistake', async () => {
    const device = await acmeDevice(() => ({}), { hiddenCapabilities: ['MSIX'] });
    expect(device.irqs.find(({ index }) => index === VfioIrq.msix)?.count).toBe(0);
    await expect(acmeDevice(() => ({}), { hiddenCapabilities: ['PASID'] })).rejects.toMatchObject({
      code: 'EINVAL',
      message: 'platform: hide PASID: there is no capability PASID, only PCIE, MSIX, PM',
    });
  });
});
