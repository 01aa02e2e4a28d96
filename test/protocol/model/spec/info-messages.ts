import type { Answer } from './answer.ts';
import { IRQS, Irq } from './interrupts.ts';
import { BELLS, MSI_VECTORS, MSIX_VECTORS, Region, regionFacts, REGIONS, VENDOR_REGION } from './layout.ts';
import { Errno, joined, longs, MAX_TRANSFER, word, words } from './wire.ts';

const { EINVAL } = Errno;
const MMAP = 4;
const CAPABILITIES = 8;

/** DEVICE_GET_INFO: PCI, with reset. */
export function deviceInfo(body: Uint8Array): Answer {
  if (body.length < 16 || word(body, 0) < 16) return EINVAL;
  return { body: words(16, 3, REGIONS, IRQS) };
}

/** EVENTFD 1, MASKABLE 2, AUTOMASKED 4, NORESIZE 8. MSI-X can be given vectors one by one. */
const irqFacts: Readonly<Record<number, { readonly flags: number; readonly count: number }>> = {
  [Irq.intx]: { flags: 7, count: 1 },
  [Irq.msi]: { flags: 9, count: MSI_VECTORS },
  [Irq.msix]: { flags: 1, count: MSIX_VECTORS },
  [Irq.error]: { flags: 9, count: 1 },
  [Irq.request]: { flags: 9, count: 1 },
};

/** DEVICE_GET_IRQ_INFO. */
export function irqInfo(body: Uint8Array): Answer {
  if (body.length < 16 || word(body, 0) < 16) return EINVAL;
  const index = word(body, 2);
  const facts = irqFacts[index];
  return facts === undefined ? EINVAL : { body: words(16, facts.flags, index, facts.count) };
}

/** Regions that can be mapped, by one file, and the pages of it; all of the region when there are none. */
const mappable: Readonly<Record<number, readonly (readonly [bigint, bigint])[]>> = {
  [Region.bar2]: [[0x1000n, 0x1000n]],
  [Region.log]: [],
};
const subtypes: Readonly<Record<number, number>> = { [Region.log]: 1, [Region.mailbox]: 2 };

/**
 * DEVICE_GET_REGION_INFO. Capabilities and the file are told where argsz has room for them; a client that takes no file
 * descriptor is not told that it could map.
 */
export function regionInfo(body: Uint8Array, maxFds: number): Answer {
  if (body.length < 32 || word(body, 0) < 32 || word(body, 2) >= REGIONS) return EINVAL;
  const argsz = word(body, 0);
  const index = word(body, 2);
  const { size = 0, rights = 0 } = regionFacts[index] ?? {};
  const areas = maxFds > 0 ? mappable[index] : undefined;
  const chain = joined(sparse(areas ?? []), type(subtypes[index]));
  const needed = 32 + chain.length;
  const fits = argsz >= needed;
  const chained = fits && chain.length > 0;
  const flags = rights | (areas === undefined ? 0 : MMAP) | (chained ? CAPABILITIES : 0);
  const front = joined(words(needed, flags, index, chained ? 32 : 0), longs(BigInt(size), 0n));
  return {
    body: chained ? joined(front, chain) : front,
    ...(areas !== undefined && fits && { files: [index] }),
  };
}

/** The capability of areas; it would be the last of the chain, as no region here has two. */
function sparse(areas: readonly (readonly [bigint, bigint])[]): Uint8Array {
  if (areas.length === 0) return new Uint8Array(0);
  return joined(words(0x1_0001, 0, areas.length, 0), ...areas.map((area) => longs(...area)));
}

function type(subtype: number | undefined): Uint8Array {
  return subtype === undefined ? new Uint8Array(0) : words(0x1_0002, 0, VENDOR_REGION, subtype);
}

const DATAMATCH = 1;

/** DEVICE_GET_REGION_IO_FDS: eventfds of BAR 0, in the order of the datasheet, as many as the client takes. */
export function regionIoFds(body: Uint8Array, maxFds: number): Answer {
  if (body.length < 16) return EINVAL;
  const [argsz, flags, index, count] = [word(body, 0), word(body, 1), word(body, 2), word(body, 3)];
  if (argsz < 16 || argsz > MAX_TRANSFER || flags !== 0 || count !== 0) return EINVAL;
  if (regionFacts[index] === undefined) return EINVAL;
  const bells = index === Region.bar0 ? BELLS.slice(0, maxFds) : [];
  const needed = 16 + 40 * bells.length;
  const front = words(needed, 0, index, bells.length);
  if (argsz < needed) return { body: front };
  const entries = bells.map(({ offset, size, value }, n) =>
    joined(
      longs(BigInt(offset), BigInt(size)),
      words(n, 0, value === undefined ? 0 : DATAMATCH, 0),
      longs(value ?? 0n),
    ),
  );
  return { body: joined(front, ...entries), others: bells.length };
}
