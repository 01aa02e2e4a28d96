import { describe, expect, it } from 'vitest';

import { VfioIrq } from '../../../src/mdev/index.ts';
import { type Client, type EventFd, eventfd, memoryFile } from '../../../src/vfio-user/index.ts';
import { At, VECTORS } from '../../mdev/support/migratable.ts';
import { openFiles, until } from '../support/bench.ts';
import { Relay } from './support.ts';

const CONFIG = 7;

/** A client that has given its device all it can. */
async function generous(relay: Relay): Promise<{
  readonly client: Client;
  readonly lines: readonly EventFd[];
  readonly request: EventFd;
  readonly memory: Uint8Array;
  readonly region: Uint8Array;
}> {
  const client = await relay.client();
  await client.writeRegister(CONFIG, At.command, 2, 6);
  await client.writeRegister(CONFIG, At.msixControl, 2, 0x8000);
  const file = memoryFile(0x1000);
  await client.dmaMap({ iova: 0n, size: 0x1000n, file });
  const lines = Array.from({ length: VECTORS }, () => eventfd());
  const request = eventfd();
  await client.setIrqs({ index: VfioIrq.msix, eventfds: lines.map(({ fd }) => fd) });
  await client.setIrqs({ index: VfioIrq.request, eventfds: [request.fd] });
  const mapped = await client.mapRegion(2);
  return {
    client,
    lines,
    request,
    memory: new Uint8Array(file.buffer),
    region: mapped.areas[0]?.bytes ?? new Uint8Array(0),
  };
}

describe('the device that was handed over', () => {
  it('reaches nothing of its client any more, whatever its behaviour does', async () => {
    await using relay = await Relay.start();
    const { client, lines, memory, region } = await generous(relay);
    region[100] = 9;
    const husk = await relay.leaveHusk();
    husk.onEnd = () => {
      husk.context.memory.bar2.fill(0xee);
    };
    // What it has is still there for its behaviour; who goes on does not see what becomes of it.
    expect(husk.context.memory.bar2[100]).toBe(9);
    husk.context.memory.bar2[100] = 1;
    husk.context.irqs.msix.trigger(3);
    await expect(husk.context.dma.write(0n, Uint8Array.of(1))).rejects.toMatchObject({ code: 'EFAULT' });
    husk.device.reset();
    await husk.device.close();
    expect(region[100]).toBe(9);
    expect(memory[0]).toBe(0);
    expect(lines[3]?.read()).toBe(0);
    // All of it is the successor's.
    region[100] = 8;
    expect([...(await client.readRegion(2, 100, 1))]).toEqual([8]);
    await client.writeRegister(0, At.raise, 4, 2 + 3);
    expect(lines[3]?.read()).toBe(1);
    await relay.counter.context.dma.write(0n, Uint8Array.of(1));
    expect(memory[0]).toBe(1);
  });

  it('is removed as any other, without its client being asked', async () => {
    await using relay = await Relay.start();
    const { client, request } = await generous(relay);
    const husk = await relay.leaveHusk();
    expect(husk.device.attachment).toBe(undefined);
    expect(husk.running).toBe(false);
    expect(() => husk.device.attach({ name: 'somebody' })).toThrow(/suspended by its owner/);
    await husk.registry.remove(husk.device.uuid);
    expect(husk.device.state).toBe('closed');
    expect(request.read()).toBe(0);
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });

  it('tells of nobody who has left', async () => {
    await using relay = await Relay.start();
    const left: string[] = [];
    relay.server.on('disconnected', (client) => left.push(client));
    await relay.client();
    await relay.handOver();
    expect(left).toEqual([]);
  });

  it('keeps no descriptor of its client', async () => {
    await using relay = await Relay.start();
    const before = openFiles();
    await generous(relay);
    const own = openFiles();
    const husk = await relay.leaveHusk();
    // Both sides are in this process: the successor has what the husk had. Fewer, when something earlier is collected.
    await until(() => openFiles() <= own, 'the husk letting go');
    expect(own).toBeGreaterThan(before);
    expect(husk.device.state).not.toBe('closed');
  });
});

describe('a successor that fails when it has everything', () => {
  it('reaches nothing of the client either', async () => {
    await using relay = await Relay.start();
    const { client, lines, region, request } = await generous(relay);
    region[7] = 9;
    const spare = await relay.spare({ refuses: true });
    spare.onEnd = () => {
      spare.context.memory.bar2.fill(0xee);
    };
    await expect(relay.handOverTo(spare)).rejects.toThrow(/refused by the vendor/);
    expect(spare.device.state).toBe('closed');
    expect([region[7], request.read(), lines[0]?.read()]).toEqual([9, 0, 0]);
    expect(await client.readRegister(CONFIG, 0, 2)).toBe(0x1d0f);
  });
});
