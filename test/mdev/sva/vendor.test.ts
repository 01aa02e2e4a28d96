// A vendor's copy engine that works by PASID and blocks on faults, and a VMM that pages its guest's process in: with the public API only.
import { expect, test } from 'vitest';

import {
  addressTranslation,
  pageRequest,
  pasid,
  reg32,
  reg64,
  registerBlock,
  rw,
} from '../../../src/emulation/index.ts';
import {
  AddressSpace,
  defineMdevType,
  type DeviceSession,
  MdevError,
  MdevRegistry,
  memoryFile,
  mmio,
  ParentDevice,
} from '../../../src/mdev/index.ts';

const CONFIG = 7;
const PAGE = 4096n;
const PIECE = 4096;

const block = registerBlock(0x1000, {
  PASID: reg32(0x00, { pasid: rw(19, 0) }),
  LENGTH: reg32(0x04, { bytes: rw(31, 0) }),
  SOURCE: reg64(0x08, { address: rw(63, 0) }),
  TARGET: reg64(0x10, { address: rw(63, 0) }),
  GO: reg32(0x18, { go: rw(0) }),
});

function put(session: DeviceSession, region: number, offset: number, value: bigint, size: 2 | 4 | 8): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  session.sync.writeRegion(region, offset, bytes.subarray(0, size));
}

test('an engine copies by PASID, faults, asks for the page, and goes on when it is there', async () => {
  const ended: string[] = [];
  let over: () => void = () => undefined;
  const type = defineMdevType({
    id: 'blocking-copy',
    pci: {
      vendorId: 0x1d0f,
      deviceId: 0xacce,
      classCode: 0x088000,
      capabilities: [addressTranslation(), pasid(), pageRequest({ capacity: 8 })],
    },
    regions: { bar0: mmio(block) },
    sva: { pageRequestTimeout: 5000 },
    create: (context) => {
      const { bar0, sva } = context;
      async function onFault(pasidOfWork: number, iova: bigint, access: 'r' | 'w', move: () => Promise<void>) {
        for (;;) {
          try {
            await move();
            return;
          } catch (error) {
            if (!(error instanceof MdevError) || error.code !== 'EFAULT') throw error;
          }
          const response = await sva.pageRequest({ pasid: pasidOfWork, iova, access });
          if (response !== 'success') throw new Error(`${access} fault at 0x${iova.toString(16)}: ${response}`);
        }
      }
      async function copy(): Promise<void> {
        const { LENGTH, PASID, SOURCE, TARGET } = bar0.registers;
        const work = PASID.pasid;
        const memory = sva.dma(work);
        for (let done = 0; done < LENGTH.bytes; done += PIECE) {
          const piece = new Uint8Array(Math.min(PIECE, LENGTH.bytes - done));
          const [from, to] = [SOURCE.address + BigInt(done), TARGET.address + BigInt(done)];
          await onFault(work, from, 'r', () => memory.read(from, piece));
          await onFault(work, to, 'w', () => memory.write(to, piece));
        }
      }
      return {
        hooks: {
          bar0: {
            GO: {
              afterWrite: () => {
                context.task(async () => {
                  await copy().then(
                    () => ended.push('done'),
                    (error: unknown) => ended.push(error instanceof Error ? error.message : 'an error'),
                  );
                  over();
                });
              },
            },
          },
        },
      };
    },
  });
  const registry = new MdevRegistry();
  registry.register(new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 }));
  const device = await registry.create({ parent: 'acme0', type: type.id, platform: { enforceMemoryDecode: false } });
  using session = device.open({ name: 'vmm' });
  // The guest's driver.
  const at = (name: string): number => device.configSpace.capabilities.find((one) => one.name === name)?.offset ?? 0;
  put(session, CONFIG, 4, 4n, 2);
  put(session, CONFIG, at('PASID') + 6, 1n, 2);
  put(session, CONFIG, at('ATS') + 6, 0x8000n, 2);
  put(session, CONFIG, at('PRI') + 12, 8n, 4);
  put(session, CONFIG, at('PRI') + 4, 1n, 2);

  // The VMM: a process with 64 pages, none of which is there until it is asked for. Only 48 exist.
  const pages = 64n;
  const file = memoryFile(Number(pages * PAGE));
  const bytes = new Uint8Array(file.buffer);
  for (let index = 0; index < 8 * PIECE; ++index) bytes[index] = (index * 7) & 0xff;
  using space = new AddressSpace({ name: 'process 4711' });
  const work = session.sva.allocatePasid(42);
  session.sva.attach(work, space);
  const paged: bigint[] = [];
  session.sva.onPageRequest(({ access, group, iova, pasid: of }) => {
    setImmediate(() => {
      const there = iova < 48n * PAGE;
      if (there) {
        paged.push(iova);
        space.dmaMap({ iova, size: PAGE, file, offset: iova, access: access === 'r' ? 'r' : 'rw' });
      }
      expect(of).toBe(42);
      session.sva.respond(group, there ? 'success' : 'invalid');
    });
  });
  const run = async (source: bigint, target: bigint, length: number): Promise<string | undefined> => {
    const done = new Promise<void>((resolve) => {
      over = resolve;
    });
    put(session, 0, 0x00, 42n, 4);
    put(session, 0, 0x04, BigInt(length), 4);
    put(session, 0, 0x08, source, 8);
    put(session, 0, 0x10, target, 8);
    put(session, 0, 0x18, 1n, 4);
    await done;
    return ended.at(-1);
  };
  expect(await run(0n, 16n * PAGE, 8 * PIECE)).toBe('done');
  expect(bytes.subarray(16 * PIECE, 24 * PIECE)).toEqual(bytes.subarray(0, 8 * PIECE));
  expect(paged.length).toBe(16);
  // Everything is there now.
  expect(await run(16n * PAGE, 16n * PAGE, 8 * PIECE)).toBe('done');
  expect(paged.length).toBe(16);
  expect(await run(0n, 50n * PAGE, PIECE)).toBe('w fault at 0x32000: invalid');
  space.dmaUnmapAll();
  expect(await run(0n, 17n * PAGE, PIECE)).toBe('done');
  expect(paged.length).toBe(18);
  session.sva.detach(work);
  expect(await run(0n, 17n * PAGE, PIECE)).toBe('r fault at 0x0: invalid');
  file.close();
});
