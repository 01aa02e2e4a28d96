// Page requests from the thread of an engine to the VMM and back: the whole way, with an engine that the tests add to the addon.
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';

import type { AddressSpace, DeviceSession, PageRequestGroup } from '../../../src/mdev/index.ts';
import type { DeviceCore, MemoryFile } from '../../../src/native/binding.ts';
import { addonWith } from '../../native/support/addon-with.ts';
import type * as svaCards from '../support/sva-card.ts';
import type * as uncaught from '../support/uncaught.ts';

/** What became of an access. */
interface Result {
  readonly done: boolean;
  /** What was loaded. */
  readonly value: bigint;
  /** Page requests that it made. */
  readonly asked: number;
  /** The last answer, by its code in PCI Express. */
  readonly response: number;
}

interface PageEngine {
  start(pasid: number, iova: bigint, rights: number, pages: number, value: bigint, privileged: boolean): number;
  result(number: number): Result | undefined;
  close(): void;
}

const PAGE = 4096n;
const READ = 1;
const WRITE = 2;
const SUCCESS = 0;
const INVALID = 1;
const FAILURE = 15;

/** Everything that loads the addon, which has to be the one with the engine. */
interface Modules {
  readonly AddressSpace: new (options: { readonly name: string }) => AddressSpace;
  readonly memoryFile: (size: number) => MemoryFile;
  readonly newEngine: (card: svaCards.SvaCard) => PageEngine;
  readonly card: typeof svaCards;
  readonly uncaughtDuring: typeof uncaught.uncaughtDuring;
}
let modules: Modules;

beforeAll(async () => {
  process.env['MDEV_NATIVE_PATH'] = await addonWith(
    join(import.meta.dirname, '../../native/support/page_engine_object.cc'),
  );
  const { addon } = await import('../../../src/native/addon.ts');
  const { coreOf } = await import('../../../src/native/device-handle.ts');
  const { memoryFile } = await import('../../../src/native/binding.ts');
  const { AddressSpace } = await import('../../../src/mdev/index.ts');
  const { PageEngine } = addon as { readonly PageEngine: new (core: DeviceCore) => PageEngine };
  modules = {
    AddressSpace,
    memoryFile,
    newEngine: ({ device }) => new PageEngine(coreOf(device.handle)),
    card: await import('../support/sva-card.ts'),
    uncaughtDuring: (await import('../support/uncaught.ts')).uncaughtDuring,
  };
});

/** A device with such an engine, and a VMM that has given it one PASID with nothing behind it. */
class Scene {
  readonly card: svaCards.SvaCard;
  readonly engine: PageEngine;
  readonly session: DeviceSession;
  readonly space: AddressSpace;
  readonly pasid: number;
  readonly ram: MemoryFile;
  /** What the VMM was asked, oldest first. */
  readonly asked: PageRequestGroup[] = [];

  constructor(card: svaCards.SvaCard) {
    this.card = card;
    this.engine = modules.newEngine(card);
    this.session = card.device.open({ name: 'vmm' });
    modules.card.enable(this.session);
    this.space = new modules.AddressSpace({ name: 'process' });
    this.pasid = this.session.sva.allocatePasid();
    this.session.sva.attach(this.pasid, this.space);
    this.ram = modules.memoryFile(0x10_0000);
  }

  listen(): void {
    this.session.sva.onPageRequest((request) => this.asked.push(request));
  }

  /** The next thing that the VMM is asked. */
  async request(): Promise<PageRequestGroup> {
    await expect.poll(() => this.asked.length, WAIT).toBeGreaterThan(0);
    const [first] = this.asked.splice(0, 1);
    if (first === undefined) throw new Error('nothing was asked');
    return first;
  }

  map({ iova, pages }: { readonly iova: bigint; readonly pages: number }): void {
    this.space.dmaMap({ iova, size: BigInt(pages) * PAGE, file: this.ram, offset: iova });
  }

  load(iova: bigint, { pages = 1, pasid = this.pasid, rights = READ, value = 0n, privileged = false } = {}): number {
    return this.engine.start(pasid, iova, rights, pages, value, privileged);
  }

  async result(number: number): Promise<Result> {
    await expect.poll(() => this.engine.result(number), WAIT).toBeDefined();
    const result = this.engine.result(number);
    if (result === undefined) throw new Error('no result');
    return result;
  }

  at(iova: bigint): DataView {
    return new DataView(this.ram.buffer, Number(iova), 8);
  }

  async close(): Promise<void> {
    this.engine.close();
    this.session.sync.close();
    await this.card.registry.close();
    this.space.close();
    this.ram.close();
  }
}

const WAIT = { interval: 5, timeout: 60_000 };

async function scene(options: svaCards.SvaCardOptions = {}): Promise<Scene> {
  const made = new Scene(await modules.card.svaCard(options));
  onTestFinished(() => made.close());
  return made;
}

let all: Scene;
beforeEach(async () => {
  all = await scene();
});

test('an access to a page that is not there waits for the VMM to bring it, and others go on', async () => {
  all.listen();
  all.at(0x3008n).setBigUint64(0, 0x1234_5678_9abc_def0n, true);
  all.at(0x9000n).setBigUint64(0, 7n, true);
  all.map({ iova: 0x9000n, pages: 1 });
  const waiting = all.load(0x3008n, { pages: 2, privileged: true });
  const request = await all.request();
  expect(request).toEqual({ group: 0, pasid: all.pasid, iova: 0x3000n, pages: 2, access: 'r', privileged: true });
  expect(await all.result(all.load(0x9000n))).toMatchObject({ done: true, value: 7n, asked: 0 });
  expect(all.engine.result(waiting)).toBeUndefined();
  all.map(request);
  all.session.sva.respond(request.group, 'success');
  expect(await all.result(waiting)).toMatchObject({ done: true, value: 0x1234_5678_9abc_def0n, asked: 1 });

  const stored = all.load(0x5000n, { rights: WRITE, value: 99n });
  const second = await all.request();
  expect(second).toMatchObject({ iova: 0x5000n, pages: 1, access: 'w', privileged: false });
  all.map(second);
  all.session.sva.respond(second.group, 'success');
  expect(await all.result(stored)).toMatchObject({ done: true, asked: 1, response: SUCCESS });
  expect(all.at(0x5000n).getBigUint64(0, true)).toBe(99n);
});

test('what the VMM refuses is a fault, and what it promises and does not bring is asked for again', async () => {
  all.listen();
  const invalid = all.load(0x1000n);
  all.session.sva.respond((await all.request()).group, 'invalid');
  expect(await all.result(invalid)).toMatchObject({ done: false, asked: 1, response: INVALID });
  const broken = all.load(0x2000n);
  for (let asked = 0; asked < 4; asked++) all.session.sva.respond((await all.request()).group, 'success');
  expect(await all.result(broken)).toMatchObject({ done: false, asked: 4, response: SUCCESS });
  const failed = [all.load(0x3000n), all.load(0x4000n)];
  const { group } = await all.request();
  await all.request();
  all.session.sva.respond(group, 'failure');
  for (const number of failed) expect(await all.result(number)).toMatchObject({ done: false, response: FAILURE });
});

test('nobody who could answer is a fault at once', async () => {
  expect(await all.result(all.load(0x1000n))).toMatchObject({ done: false, asked: 1, response: FAILURE });
  all.listen();
  expect(await all.result(all.load(0x1000n, { pasid: 99 }))).toMatchObject({ done: false, response: INVALID });
  expect(await all.result(all.load(0xffff_ffff_ffff_f000n, { pages: 2 }))).toMatchObject({ response: INVALID });
  modules.card.write16(all.session, modules.card.SvaAt.priControl, 0);
  expect(await all.result(all.load(0x1000n))).toMatchObject({ done: false, response: FAILURE });
  expect(all.asked).toEqual([]);
});

test.each<[string, (scene: Scene) => unknown]>([
  [
    'the PASID is detached',
    (scene) => {
      scene.session.sva.detach(scene.pasid);
    },
  ],
  [
    'the function is reset',
    (scene) => {
      scene.session.sync.reset();
    },
  ],
  ['the device has an error', (scene) => scene.card.device.error({ uncorrectable: 'completerAbort' })],
  [
    'its client goes',
    (scene) => {
      scene.session.sync.close();
    },
  ],
  ['it is removed', (scene) => scene.card.device.close()],
])('what waits, and what comes later, is a fault when %s', async (_what, happens) => {
  all.listen();
  const waiting = [0x1000n, 0x2000n, 0x3000n].map((iova) => all.load(iova));
  await expect.poll(() => all.asked.length, WAIT).toBe(3);
  const happened = happens(all);
  for (const number of waiting) expect(await all.result(number)).toMatchObject({ done: false, response: FAILURE });
  await happened;
  expect(await all.result(all.load(0x4000n))).toMatchObject({ done: false, asked: 1 });
  expect(all.asked).toHaveLength(3);
});

test('a VMM that never answers is not waited for longer than the type says', async () => {
  const hasty = await scene({ sva: { pageRequestTimeout: 20 } });
  hasty.listen();
  expect(await hasty.result(hasty.load(0x1000n))).toMatchObject({ done: false, asked: 1, response: FAILURE });
  expect(hasty.asked).toHaveLength(1);
});

test('a listener that throws ends in a refusal', async () => {
  all.session.sva.onPageRequest(() => {
    throw new Error('listener');
  });
  const errors = await modules.uncaughtDuring(async () => {
    expect(await all.result(all.load(0x1000n))).toMatchObject({ done: false, response: FAILURE });
  });
  expect(errors).toEqual([expect.objectContaining({ message: 'listener' })]);
});

test('more than a turn takes and the guest allows: each is answered once, and none is lost', async () => {
  // Answered where it is heard; every third one is refused.
  const heard: PageRequestGroup[] = [];
  all.session.sva.onPageRequest((request) => {
    heard.push(request);
    if (request.iova % (3n * PAGE) === 0n) {
      all.session.sva.respond(request.group, 'invalid');
      return;
    }
    all.map(request);
    all.session.sva.respond(request.group, 'success');
  });
  const count = 200;
  for (let page = 0; page < count; page++) all.at(BigInt(page) * PAGE).setBigUint64(0, BigInt(page), true);
  // All of them before this thread looks.
  const numbers = Array.from({ length: count }, (_, page) => all.load(BigInt(page) * PAGE));
  for (const [page, number] of numbers.entries()) {
    expect(await all.result(number)).toMatchObject(
      page % 3 === 0 ? { done: false, response: INVALID, asked: 1 } : { done: true, value: BigInt(page), asked: 1 },
    );
  }
  expect(new Set(heard.map(({ iova }) => iova)).size).toBe(count);
  expect(heard).toHaveLength(count);
});

test('while it is served over vfio-user, every access by PASID is refused, and waits for nobody', async () => {
  const card = await modules.card.svaCard({ platform: { pasid: 'shown' } });
  const { connect, serve } = await import('../../../src/vfio-user/index.ts');
  const { socketPair } = await import('../../../src/vfio-user/native.ts');
  const [near, far] = socketPair();
  const server = serve(card.device, { fd: far });
  const client = await connect({ fd: near });
  const { SvaAt } = modules.card;
  for (const [offset, ...bytes] of [
    [SvaAt.command, 6, 0],
    [SvaAt.pasidControl, 1, 0],
    [SvaAt.atsControl, 0, 0x80],
    [SvaAt.priAllocation, 8, 0, 0, 0],
    [SvaAt.priControl, 1, 0],
  ]) {
    await client.writeRegion(7, offset ?? 0, Uint8Array.from(bytes));
  }
  const engine = modules.newEngine(card);
  const number = engine.start(1, 0x1000n, READ, 1, 0n, false);
  await expect.poll(() => engine.result(number), WAIT).toMatchObject({ done: false, asked: 1, response: FAILURE });
  engine.close();
  await client.close();
  await server.closed;
  await card.registry.close();
});
