import fc from 'fast-check';
import { expect, test } from 'vitest';

import { AddressSpace, VfioError, type PageResponse } from '../../../src/mdev/index.ts';
import { memoryFile } from '../../../src/native/binding.ts';
import { enable, svaCard, SvaAt, write16 } from '../support/sva-card.ts';

const SPACES = 3;
const PAGES = 4;
const PAGE = 0x1000n;
const WIDTH = 3;

/** What a sequence does; PASIDs from 0 to 8 are some that are none. */
type Step =
  | { readonly kind: 'allocate'; readonly pasid: number | undefined }
  | { readonly kind: 'release' | 'detach' | 'toggle' | 'reset' | 'reopen'; readonly pasid: number }
  | { readonly kind: 'attach' | 'replace'; readonly pasid: number; readonly space: number }
  | { readonly kind: 'map' | 'unmap'; readonly space: number; readonly page: number }
  | { readonly kind: 'ask'; readonly pasid: number; readonly pages: number }
  | { readonly kind: 'respond'; readonly which: number; readonly response: PageResponse };

const pasid = fc.integer({ min: 0, max: 2 ** WIDTH });
const space = fc.integer({ min: 0, max: SPACES - 1 });
const page = fc.integer({ min: 0, max: PAGES - 1 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('allocate' as const), pasid: fc.option(pasid, { nil: undefined }) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'detach' as const), pasid }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom('toggle' as const, 'reset' as const, 'reopen' as const), pasid }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('attach' as const, 'replace' as const), pasid, space }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('map' as const, 'unmap' as const), space, page }) },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('ask' as const), pasid, pages: fc.integer({ min: 1, max: 6 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('respond' as const),
        which: fc.nat(3),
        response: fc.constantFrom<PageResponse>('success', 'invalid', 'failure'),
      }),
    },
  ),
  { minLength: 20, maxLength: 60 },
);

/** "ok", or the code of what it throws. */
function outcome(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof VfioError) return error.code;
    throw error;
  }
}

/** What PASIDs and page requests do, without a look at how. */
class Model {
  readonly allocated = new Set<number>();
  readonly bound = new Map<number, number>();
  readonly maps = Array.from({ length: SPACES }, () => new Set<number>());
  enabled = true;
  outstanding = 0;
  /** A response said that page requests have ended. */
  failed = false;

  check(value: number): string | undefined {
    if (value < 1 || value >= 2 ** WIDTH) return 'EINVAL';
    return this.allocated.has(value) ? undefined : 'ENOENT';
  }

  allocate(wanted: number | undefined): string {
    if (wanted !== undefined && (wanted < 1 || wanted >= 2 ** WIDTH)) return 'EINVAL';
    if (wanted !== undefined && this.allocated.has(wanted)) return 'EEXIST';
    return this.allocated.size === 2 ** WIDTH - 1 ? 'ENOSPC' : 'ok';
  }

  release(value: number): string {
    const problem = this.check(value);
    if (problem !== undefined) return problem;
    if (this.bound.has(value)) return 'EBUSY';
    this.allocated.delete(value);
    return 'ok';
  }

  attach(value: number, to: number): string {
    const problem = this.check(value);
    if (problem !== undefined) return problem;
    if (this.bound.has(value)) return 'EBUSY';
    this.bound.set(value, to);
    return 'ok';
  }

  replace(value: number, to: number): string {
    const problem = this.check(value) ?? (this.bound.has(value) ? undefined : 'ENOENT');
    if (problem === undefined) this.bound.set(value, to);
    return problem ?? 'ok';
  }

  detach(value: number): string {
    const problem = this.check(value);
    return problem ?? (this.bound.delete(value) ? 'ok' : 'ENOENT');
  }

  reaches(value: number, at: number): boolean {
    const to = this.bound.get(value);
    return this.enabled && to !== undefined && this.maps[to]?.has(at) === true;
  }
}

interface Asked {
  readonly group: number;
  readonly pasid: number;
  readonly pages: number;
}

test('random sequences do what the model does, and every page request is answered once', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const card = await svaCard({ width: WIDTH, capacity: 8 });
      const model = new Model();
      const files = Array.from({ length: SPACES }, (_, index) => {
        const file = memoryFile(PAGES * 0x1000);
        for (let at = 0; at < PAGES; ++at) new Uint8Array(file.buffer)[at * 0x1000] = 0x10 * (index + 1) + at;
        return file;
      });
      const spaces = files.map((_, index) => new AddressSpace({ name: `space ${index}` }));
      const spaceOf = (index: number): AddressSpace => spaces[index] ?? new AddressSpace({ name: 'none' });
      const answers: PageResponse[] = [];
      const expected: PageResponse[] = [];
      let asked: Asked[] = [];
      let given = 0;
      const open = () => {
        const opened = card.device.open({ name: 'vmm' });
        enable(opened, { allocation: 8 });
        opened.sva.onPageRequest(({ group, pages, pasid: of }) => asked.push({ group, pages, pasid: of }));
        return opened;
      };
      let session = open();
      /** What is outstanding and matches is refused. */
      const refuse = (which: (request: Asked) => boolean): void => {
        for (const request of asked.filter(which)) {
          expected.push('failure');
          model.outstanding -= request.pages;
        }
        asked = asked.filter((request) => !which(request));
      };
      for (const step of sequence) {
        const { sva } = session;
        switch (step.kind) {
          case 'allocate': {
            const before = model.allocate(step.pasid);
            expect(outcome(() => model.allocated.add(sva.allocatePasid(step.pasid)))).toBe(before);
            break;
          }
          case 'release':
            expect(
              outcome(() => {
                sva.releasePasid(step.pasid);
              }),
            ).toBe(model.release(step.pasid));
            break;
          case 'detach': {
            const does = model.detach(step.pasid);
            if (does === 'ok') refuse((request) => request.pasid === step.pasid);
            expect(
              outcome(() => {
                sva.detach(step.pasid);
              }),
            ).toBe(does);
            break;
          }
          case 'attach':
            expect(
              outcome(() => {
                sva.attach(step.pasid, spaceOf(step.space));
              }),
            ).toBe(model.attach(step.pasid, step.space));
            break;
          case 'replace': {
            const does = model.replace(step.pasid, step.space);
            if (does === 'ok') refuse((request) => request.pasid === step.pasid);
            expect(
              outcome(() => {
                sva.replace(step.pasid, spaceOf(step.space));
              }),
            ).toBe(does);
            break;
          }
          case 'map':
            spaces[step.space]?.dmaMap({
              iova: BigInt(step.page) * PAGE,
              size: PAGE,
              file: files[step.space] ?? { fd: -1 },
              offset: BigInt(step.page) * PAGE,
            });
            model.maps[step.space]?.add(step.page);
            break;
          case 'unmap': {
            const there = model.maps[step.space]?.delete(step.page) === true;
            expect(outcome(() => spaces[step.space]?.dmaUnmap({ iova: BigInt(step.page) * PAGE, size: PAGE }))).toBe(
              there ? 'ok' : 'ENOENT',
            );
            break;
          }
          case 'toggle':
            model.enabled = !model.enabled;
            write16(session, SvaAt.pasidControl, Number(model.enabled));
            if (!model.enabled) refuse(() => true);
            break;
          case 'reset':
            session.sync.reset();
            refuse(() => true);
            enable(session, { allocation: 8 });
            model.enabled = true;
            model.failed = false;
            break;
          case 'reopen':
            session.sync.close();
            refuse(() => true);
            model.allocated.clear();
            model.bound.clear();
            session = open();
            write16(session, SvaAt.priControl, 0);
            write16(session, SvaAt.priControl, 1);
            model.enabled = true;
            model.failed = false;
            break;
          case 'ask': {
            given += 1;
            const refused: PageResponse | undefined =
              !model.enabled || model.failed
                ? 'failure'
                : !model.bound.has(step.pasid)
                  ? 'invalid'
                  : model.outstanding + step.pages > 8
                    ? 'failure'
                    : undefined;
            if (refused === undefined) model.outstanding += step.pages;
            else expected.push(refused);
            void card.sva
              .pageRequest({ pasid: step.pasid, iova: 0n, pages: step.pages })
              .then((response) => answers.push(response));
            break;
          }
          case 'respond': {
            const request = asked[step.which];
            if (request === undefined) break;
            sva.respond(request.group, step.response);
            if (step.response === 'failure') {
              model.failed = true;
              refuse(() => true);
            } else {
              expected.push(step.response);
              model.outstanding -= request.pages;
              asked = asked.filter((other) => other !== request);
            }
          }
        }
        const [value, at] = [1 + (given % 4), given % PAGES];
        const byte = new Uint8Array(1);
        const reached = await card.sva
          .dma(value)
          .read(BigInt(at) * PAGE, byte)
          .then(
            () => true,
            () => false,
          );
        expect(reached).toBe(model.reaches(value, at));
        if (reached) expect(byte[0]).toBe(0x10 * ((model.bound.get(value) ?? 0) + 1) + at);
        expect(session.sva.info().pagesRequested).toBe(model.outstanding);
      }
      session.sync.close();
      refuse(() => true);
      for (const one of spaces) one.close();
      for (const file of files) file.close();
      await card.device.close();
      expect(answers.length).toBe(given);
      expect(answers.toSorted()).toEqual(expected.toSorted());
    }),
    { numRuns: 60 },
  );
}, 60_000);
