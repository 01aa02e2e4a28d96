import { errnoName } from '../../native/errno.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { VfioRegion } from '../vfio/vfio.ts';

/** A part of an instance's state that the framework knows of. Always of the same size. */
export interface StateSection {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  take(): Uint8Array;
  /** @throws Error when `put` would refuse these bytes. */
  check(bytes: Uint8Array): void;
  /** Takes bytes that were checked. */
  put(bytes: Uint8Array): void;
}

/**
 * Everything that the declaration of an instance says: registers with locks and staged bytes, memory of regions, interrupts. The instance is paused
 * while they are used. Those that others depend on come first.
 */
export function stateSections(mdevFunction: MdevFunction): readonly StateSection[] {
  const { core, memories, registers } = mdevFunction;
  const sections: Omit<StateSection, 'size'>[] = [];
  for (const [name, memory] of Object.entries(memories)) {
    sections.push({
      name: `memory ${name}`,
      take: () => memory.slice(),
      check: () => undefined,
      put: (bytes) => {
        memory.set(bytes);
      },
    });
  }
  for (const [index] of registers.all()) {
    sections.push({
      name: `registers ${index}`,
      take: () => registers.get(index).snapshot(),
      check: (bytes) => {
        registers.get(index).checkSnapshot(bytes);
      },
      put: (bytes) => {
        registers.get(index).restore(bytes);
        if (index === VfioRegion.config) mdevFunction.followConfigSpace();
      },
    });
  }
  sections.push({
    // Behind the registers that show what is latched.
    name: 'interrupts',
    take: () => core.interruptState(),
    check: (bytes) => {
      if (!core.fitsInterruptState(bytes)) throw new Error('interrupts: not the state of these vectors');
    },
    put: (bytes) => {
      const errno = core.adoptInterruptState(bytes);
      if (errno !== 0) throw new Error(`interrupts: ${errnoName(errno)}`);
    },
  });
  return sections.map((section) => ({ ...section, size: section.take().length }));
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
 * Takes over what {@link takeSections} gave.
 * @throws Error that names what is refused; nothing has changed then.
 */
export function putSections(sections: readonly StateSection[], state: Uint8Array): void {
  const parts: (readonly [StateSection, Uint8Array])[] = [];
  let at = 0;
  for (const section of sections) {
    parts.push([section, state.subarray(at, at + section.size)]);
    at += section.size;
  }
  for (const [section, bytes] of parts) section.check(bytes);
  for (const [section, bytes] of parts) section.put(bytes);
}

export function sizeOfSections(sections: readonly StateSection[]): number {
  return sections.reduce((size, section) => size + section.size, 0);
}
