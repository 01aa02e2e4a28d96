import {
  type Bars,
  type Capability,
  configSpace,
  type ConfigSpace,
  memoryBar,
  type PciIdentity,
} from '../emulation/index.ts';
import { type AttributeInput, type AttributeSchema, type AttributeValues, parseAttributes } from './attributes.ts';
import type { MdevBehaviour } from './behaviour.ts';
import type { MdevContext } from './context.ts';
import { MdevError } from './mdev-error.ts';
import { parseName } from './names.ts';
import type { PlatformCapabilities } from './platform-capabilities.ts';
import { barsOf, type Regions } from './regions.ts';
import type { ResourcePool } from './resource-pool.ts';

/** The PCI function of a type, without its BARs: those follow from the regions. */
export interface PciDeclaration extends PciIdentity {
  /** In the order of the chain. */
  readonly capabilities: readonly Capability[];
  /** Bytes of config space. 4096 when absent. */
  readonly size?: 256 | 4096;
}

/** What a vendor declares. */
export interface MdevTypeDeclaration<
  S extends AttributeSchema,
  R extends Regions,
  T extends Disposable | undefined = undefined,
> {
  /**
   * The type's own part of its name (`dsa-cfg-v1`); operators may also write it behind the parent's driver name
   * (`idxd-dsa-cfg-v1`).
   */
  readonly id: string;
  /** The pretty name; the id when absent. */
  readonly name?: string;
  /** Free text. */
  readonly description?: string;
  /** What may be set when an instance is created. */
  readonly attributes?: S;
  /**
   * Looks at values that are right each for itself: what is wrong with them together, in words that name attribute,
   * value and what was expected, or undefined when nothing is. Asked before anything is taken or made.
   */
  readonly checkAttributes?: (attributes: AttributeValues<S>) => string | undefined;
  /**
   * The function's identity and capabilities; a function of the attributes is called once per distinct set of values.
   */
  readonly pci: PciDeclaration | ((attributes: AttributeValues<S>) => PciDeclaration);
  /** What is behind the BARs; a function of the attributes is called once per distinct set of values. */
  readonly regions: R | ((attributes: AttributeValues<S>) => R);
  /** What an instance takes from its parent. Without it only the parent's `maxInstances` counts. */
  readonly resources?: ResourcePool<AttributeValues<S>, NonNullable<T>>;
  /** Where this device differs from the defaults. */
  readonly platform?: Partial<PlatformCapabilities>;
  /** Makes the behaviour of one instance. Throwing refuses the instance and leaves nothing behind. */
  create(
    context: MdevContext<AttributeValues<S>, R, T>,
  ): MdevBehaviour<NoInfer<R>> | Promise<MdevBehaviour<NoInfer<R>>>;
}

/** What one set of attribute values makes of a type. Compiled once and shared by all instances with these values. */
export interface DeviceDeclaration {
  readonly regions: Regions;
  readonly configSpace: ConfigSpace;
  readonly pci: PciDeclaration;
}

/** A type of mediated device, as {@link defineMdevType} makes it. */
export interface MdevType {
  /** The type's own part of its name. */
  readonly id: string;
  /** The pretty name. */
  readonly name: string;
  /** Free text, if the vendor gave one. */
  readonly description: string | undefined;
  /** What its instances are to a VMM. */
  readonly deviceApi: 'vfio-pci';
  /** What may be set when an instance is created. */
  readonly attributes: AttributeSchema;
  /** Where its instances' platform differs from the defaults. */
  readonly platform: Partial<PlatformCapabilities>;
  /** What instances take from their parent beside a place. */
  readonly resources: ResourcePool<AttributeValues, Disposable> | undefined;
  /** @throws {@link MdevError} `EINVAL`, see `parseAttributes`; also for values that do not go together. */
  parseAttributes(input: AttributeInput): AttributeValues;
  /** The same object for the same values. */
  declarationOf(attributes: AttributeValues): DeviceDeclaration;
  /** The vendor's `create`. */
  create(context: object): MdevBehaviour | Promise<MdevBehaviour>;
}

/**
 * Declarations of this many distinct sets of values are kept for the next instance; a running instance keeps its own.
 */
const KEPT_DECLARATIONS = 32;

function bars(regions: Regions): Bars {
  return Object.fromEntries(
    barsOf(regions).map(({ index, region: { size, width, prefetchable } }) => [
      index,
      memoryBar({ size, width, prefetchable }),
    ]),
  );
}

/**
 * Declares a type of mediated device.
 * @throws `MdevError` `EINVAL` when the name is no name. BARs and capabilities that do not fit together throw a
 * RangeError or TypeError when a set of attribute values is first used.
 */
export function defineMdevType<
  const S extends AttributeSchema = Readonly<Record<string, never>>,
  const R extends Regions = Regions,
  T extends Disposable | undefined = undefined,
>(declaration: MdevTypeDeclaration<S, R, T>): MdevType {
  const id = parseName('type', declaration.id);
  const where = `type ${id}`;
  const schema: AttributeSchema = declaration.attributes ?? {};
  const declarations = new Map<string, DeviceDeclaration>();

  function build(attributes: AttributeValues<S>): DeviceDeclaration {
    const regions = typeof declaration.regions === 'function' ? declaration.regions(attributes) : declaration.regions;
    const pci = typeof declaration.pci === 'function' ? declaration.pci(attributes) : declaration.pci;
    const { size = 4096, ...identity } = pci;
    return { regions, pci, configSpace: configSpace({ ...identity, size, bars: bars(regions) }) };
  }

  return {
    id,
    name: declaration.name ?? id,
    description: declaration.description,
    deviceApi: 'vfio-pci',
    attributes: schema,
    platform: declaration.platform ?? {},
    // Values of this type's own schema are the only ones that reach these two (see `parseAttributes`).
    resources: declaration.resources,
    parseAttributes(input) {
      const attributes = parseAttributes(schema, input, where);
      const problem = declaration.checkAttributes?.(attributes as AttributeValues<S>);
      if (problem !== undefined) throw new MdevError('EINVAL', `${where}: ${problem}`);
      return attributes;
    },
    declarationOf(attributes) {
      const key = JSON.stringify(attributes);
      let built = declarations.get(key);
      declarations.delete(key);
      built ??= build(attributes as AttributeValues<S>);
      declarations.set(key, built);
      const oldest = declarations.keys().next();
      if (declarations.size > KEPT_DECLARATIONS && oldest.done !== true) declarations.delete(oldest.value);
      return built;
    },
    create: (context) => declaration.create(context as MdevContext<AttributeValues<S>, R, T>),
  };
}
