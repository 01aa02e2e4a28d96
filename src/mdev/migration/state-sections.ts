import { errnoName } from '../../native/errno.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import { VfioRegion } from '../vfio/vfio.ts';
import type { StateSection } from './state-section.ts';

/**
 * Everything that the declaration of an instance says: registers with staged bytes, memory of regions, interrupts. The instance is paused
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
