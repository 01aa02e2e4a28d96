import { expectTypeOf, test } from 'vitest';

import {
  type AddressSpace,
  defineMdevType,
  type DeviceSva,
  memoryFile,
  type PageResponse,
  type SessionSva,
} from '../../src/mdev/index.ts';

declare const session: SessionSva;
declare const space: AddressSpace;

const pci = { vendorId: 1, deviceId: 2, classCode: 3, capabilities: [] };

test('a type says what it has, and its behaviour is told of PASIDs', () => {
  defineMdevType({
    id: 'x',
    pci,
    regions: {},
    sva: { maxPasids: 4 },
    create: ({ sva }) => {
      expectTypeOf(sva).toEqualTypeOf<DeviceSva>();
      expectTypeOf(sva.pageRequest({ pasid: 1, iova: 0n })).toEqualTypeOf<Promise<PageResponse>>();
      return { sva: { attached: (pasid) => expectTypeOf(pasid).toEqualTypeOf<number>() } };
    },
  });
  // @ts-expect-error -- there is no such limit
  defineMdevType({ id: 'x', pci, regions: {}, sva: { pasidBits: 20 }, create: () => ({}) });
  // @ts-expect-error -- and no such hook
  defineMdevType({ id: 'x', pci, regions: {}, sva: {}, create: () => ({ sva: { bound: () => undefined } }) });
});

test('what cannot be is not written', () => {
  // @ts-expect-error -- no message reaches memory by PASID: there is a file
  space.dmaMap({ iova: 0n, size: 4096n, memory: new Uint8Array(4096) });
  // @ts-expect-error -- its size is said
  space.dmaMap({ iova: 0n, file: memoryFile(4096) });
  // @ts-expect-error -- no such answer
  session.respond(0, 'refused');
  // @ts-expect-error -- addresses are bigints
  session.invalidate({ pasid: 1, iova: 0, size: 4096 });
  // @ts-expect-error -- a PASID is not an address space
  session.attach(1, 2);
  session.onPageRequest((request) => {
    // @ts-expect-error -- a request stays what it was
    request.group = 1;
  });
});
