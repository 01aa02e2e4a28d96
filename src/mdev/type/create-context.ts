import type { PciError } from '../../emulation/index.ts';
import type { AttributeValues } from './attributes.ts';
import type { MdevContext } from './context.ts';
import type { ErrorReport } from '../errors/device-errors.ts';
import { type CopyTurns, DeviceDma } from '../dma/device-dma.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import type { Regions } from '../regions/regions.ts';
import type { Tasks } from '../device/tasks.ts';
import { DeviceSva } from '../sva/device-sva.ts';
import type { InstanceSva } from '../sva/instance-sva.ts';

/** What the context of an instance is made of. */
export interface ContextParts {
  readonly uuid: string;
  readonly attributes: AttributeValues;
  readonly resources: Disposable | undefined;
  readonly function: MdevFunction;
  /** Undefined when its type declares none. */
  readonly sva: InstanceSva | undefined;
  /** For messages: the instance, and its type's id. */
  readonly who: string;
  readonly typeId: string;
  readonly tasks: Tasks;
  readonly turns: CopyTurns;
  readonly fail: (error: unknown) => void;
  readonly freeze: (error: unknown) => void;
  readonly error: (error: PciError, cause: unknown) => ErrorReport | undefined;
}

/** Makes what the vendor's `create` gets. Its type is that of the vendor's declaration, which nobody knows here. */
export function createContext(parts: ContextParts): object {
  const { uuid, attributes, resources, function: mdevFunction, tasks, fail, freeze, error } = parts;
  const { sva, turns, typeId, who } = parts;
  const services: Omit<MdevContext<AttributeValues, Regions, Disposable | undefined>, keyof Regions> = {
    uuid,
    attributes,
    resources,
    device: mdevFunction.handle,
    config: mdevFunction.config.device(),
    irqs: mdevFunction.irqs.device,
    platform: mdevFunction.platform,
    memory: mdevFunction.memories,
    dma: new DeviceDma(mdevFunction.core, tasks.signal, { turns, name: 'guest memory' }),
    sva: new DeviceSva({ sva, who, type: typeId, life: tasks.signal, turns }),
    get busMaster() {
      return mdevFunction.busMaster;
    },
    signal: tasks.signal,
    task: (work, name) => {
      tasks.start(work, name);
    },
    fail,
    freeze,
    error,
  };
  return Object.defineProperties(mdevFunction.deviceRegions(), Object.getOwnPropertyDescriptors(services));
}
