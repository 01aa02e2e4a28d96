import { describe, expect, test } from 'vitest';

import { msi } from '../../../src/emulation/index.ts';
import {
  defineMdevType,
  type MdevContext,
  MdevRegistry,
  type InterruptMessage,
  ParentDevice,
  VfioIrq,
} from '../../../src/mdev/index.ts';
import { until } from '../../vfio-user/support/bench.ts';
import { acmeInstance, At } from '../support/acme.ts';
import { CONFIG, Guest } from '../support/guest.ts';

const MSI = 0x80;

/** A function with eight MSI messages. */
async function msiDevice(
  options: { readonly address64: boolean; readonly perVectorMasking: boolean },
  msixOwner: 'client' | 'device' = 'device',
): Promise<{ guest: Guest; context: MdevContext<unknown, object> }> {
  const contexts: MdevContext<unknown, object>[] = [];
  const type = defineMdevType({
    id: 'messages',
    pci: {
      vendorId: 1,
      deviceId: 2,
      classCode: 0xff0000,
      capabilities: [msi({ offset: MSI, vectors: 8, ...options })],
    },
    regions: {},
    create: (context) => {
      contexts.push(context);
      return {};
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const guest = new Guest(await registry.create({ parent: 'acme0', type: 'messages', platform: { msixOwner } }));
  const [context] = contexts;
  if (context === undefined) throw new Error('create was not called');
  return { guest, context };
}

describe('the message of a vector', () => {
  test.each([
    [{ address64: true, perVectorMasking: true }],
    [{ address64: true, perVectorMasking: false }],
    [{ address64: false, perVectorMasking: true }],
    [{ address64: false, perVectorMasking: false }],
  ])('is what the guest programmed for MSI (%o)', async (options) => {
    const { guest } = await msiDevice(options);
    const { sync } = guest.session;
    const behind = MSI + (options.address64 ? 12 : 8);
    guest.write32(MSI + 4, 0xfee0_1000, CONFIG);
    if (options.address64) guest.write32(MSI + 8, 7, CONFIG);
    guest.write16(behind, 0x4027, CONFIG);
    const address = options.address64 ? 0x7_fee0_1000n : 0xfee0_1000n;
    expect(sync.msiMessage(0)).toEqual({ address, data: 0x4027, masked: true });
    // Four of the eight: the two low bits of the data are the message's.
    guest.write16(MSI + 2, 0x21, CONFIG);
    if (options.perVectorMasking) guest.write32(behind + 4, 0b100, CONFIG);
    expect(sync.msiMessage(1)).toEqual({ address, data: 0x4025, masked: false });
    expect(sync.msiMessage(6)).toEqual({ address, data: 0x4026, masked: options.perVectorMasking });
    for (const vector of [-1, 8, 0.5]) {
      expect(() => sync.msiMessage(vector)).toThrow(expect.objectContaining({ name: 'VfioError', code: 'EINVAL' }));
    }
  });

  test('comes with its interrupt where the device owns the table', async () => {
    for (const msixOwner of ['client', 'device'] as const) {
      const { device, context } = await acmeInstance(undefined, { msixOwner });
      const guest = new Guest(device);
      guest.write16(At.msixMessageControl, 0x8000, CONFIG);
      guest.write64(0x810, 0x1_fee0_2000n);
      guest.write32(0x818, 0x4022);
      guest.write32(At.msixControl(1), 0);
      const heard: (InterruptMessage | undefined)[] = [];
      await using _line = await guest.session.onIrq(VfioIrq.msix, 1, (_count, message) => heard.push(message));
      context.irqs.msix.trigger(1);
      await until(() => heard.length > 0, 'the interrupt');
      const message = { address: 0x1_fee0_2000n, data: 0x4022, masked: false };
      expect(heard).toEqual([msixOwner === 'device' ? message : undefined]);
    }
  });

  test('comes with MSI too, and with nothing else', async () => {
    const { guest, context } = await msiDevice({ address64: true, perVectorMasking: true });
    guest.write32(MSI + 4, 0xfee0_0000, CONFIG);
    guest.write16(MSI + 2, 0x31, CONFIG);
    const heard: (InterruptMessage | undefined)[] = [];
    await using _line = await guest.session.onIrq(VfioIrq.msi, 3, (_count, message) => heard.push(message));
    await using _request = await guest.session.onIrq(VfioIrq.request, 0, (_count, message) => heard.push(message));
    context.irqs.msi.trigger(3);
    await until(() => heard.length > 0, 'the interrupt');
    context.irqs.request.trigger();
    await until(() => heard.length > 1, 'the request');
    expect(heard).toEqual([{ address: 0xfee0_0000n, data: 3, masked: false }, undefined]);
  });

  test('is not there without the capability', async () => {
    const { device } = await acmeInstance();
    const { session } = new Guest(device);
    expect(() => session.sync.msiMessage(0)).toThrow(/MSI vector 0; the device has 0/);
  });
});
