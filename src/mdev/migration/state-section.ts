import { quoted, refused } from './stream-format.ts';

/** A part of an instance's state that the framework knows of. Always of the same size. */
export interface StateSection {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * What is put when a stream has no such section, as those of releases before there was one: `size` bytes. Without it such a stream is refused, which
   * is right only for what every release has.
   */
  readonly empty?: Uint8Array;
  /** A release that does not know the section may leave it out: it loses nothing that a guest or its client relies on. */
  readonly skippable?: boolean;
  take(): Uint8Array;
  /** @throws Error when `put` would refuse these bytes. */
  check(bytes: Uint8Array): void;
  /** Takes bytes that were checked. */
  put(bytes: Uint8Array): void;
}

/** A section as a stream's header lists it. */
export type ListedSection =
  readonly [name: string, size: number] | readonly [name: string, size: number, mark: typeof SKIPPABLE];

const SKIPPABLE = 'skippable';
/** Most bytes of sections that nobody here knows: they bound what a client can make this process allocate. */
export const SKIPPED_MAX = 1024 * 1024;

/** Whether a header's entry is one; what else a later release may mark a section with is not known, and so none. */
export function isListedSection(listed: unknown): listed is ListedSection {
  if (!Array.isArray(listed) || listed.length < 2 || listed.length > 3) return false;
  const entry: readonly unknown[] = listed;
  const [name, size, mark] = entry;
  const sized = typeof name === 'string' && Number.isSafeInteger(size) && Number(size) >= 0;
  return sized && (entry.length === 2 || mark === SKIPPABLE);
}

export function listSections(sections: readonly StateSection[]): readonly ListedSection[] {
  return sections.map(({ name, size, skippable }) => (skippable === true ? [name, size, SKIPPABLE] : [name, size]));
}

/**
 * Compares the sections of a stream with those that are to take it. Their order does not matter.
 * @returns bytes of all sections of the stream.
 * @throws `MdevError` `EINVAL` that names the section that is missing, unknown, there twice or of another size.
 */
export function compareSections(listed: readonly ListedSection[], own: readonly StateSection[]): number {
  const sizes = new Map<string, number>();
  let [size, skipped] = [0, 0];
  for (const [name, bytes, mark] of listed) {
    if (sizes.has(name)) throw refused(`it has section ${quoted(name)} twice`);
    sizes.set(name, bytes);
    size += bytes;
    const section = own.find((one) => one.name === name);
    if (section === undefined) {
      skipped += bytes;
      if (mark === SKIPPABLE && skipped <= SKIPPED_MAX) continue;
      const why = mark === SKIPPABLE ? `which is more than ${SKIPPED_MAX} to leave out` : 'which cannot be left out';
      throw refused(`there is no section ${quoted(name)} here; it has ${bytes} bytes, ${why}`);
    }
    if (bytes !== section.size) {
      throw refused(`its section ${quoted(name)} has ${bytes} bytes, expected ${section.size}`);
    }
  }
  for (const { empty, name } of own) {
    if (empty === undefined && !sizes.has(name)) throw refused(`it has no section ${quoted(name)}`);
  }
  return size;
}

/** All sections, one behind the other. */
export function takeSections(sections: readonly StateSection[]): Uint8Array {
  const state = new Uint8Array(sizeOfSections(sections));
  let at = 0;
  for (const section of sections) {
    state.set(section.take(), at);
    at += section.size;
  }
  return state;
}

/**
 * Takes over a state whose sections {@link compareSections} has accepted, in the order of the own ones. All or nothing.
 * @throws Error that names what is refused; nothing has changed then.
 */
export function putSections(
  sections: readonly StateSection[],
  state: Uint8Array,
  listed: readonly ListedSection[] = listSections(sections),
): void {
  const found = new Map<string, Uint8Array>();
  let at = 0;
  for (const [name, size] of listed) {
    found.set(name, state.subarray(at, at + size));
    at += size;
  }
  const parts = sections.map((section) => {
    const bytes = found.get(section.name) ?? section.empty;
    if (bytes === undefined) throw new Error(`${section.name}: missing`);
    return [section, bytes] as const;
  });
  for (const [section, bytes] of parts) section.check(bytes);
  const before = parts.map(([section]) => [section, section.take()] as const);
  try {
    for (const [section, bytes] of parts) section.put(bytes);
  } catch (error) {
    for (const [section, bytes] of before) section.put(bytes);
    throw error;
  }
}

export function sizeOfSections(sections: readonly StateSection[]): number {
  return sections.reduce((size, section) => size + section.size, 0);
}
