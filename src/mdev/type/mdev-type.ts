import { type Capability, DeclarationError } from '../../emulation/index.ts';
import { messageOf } from '../base/message-of.ts';
import { attributeSamples } from './attribute-samples.ts';
import { type AttributeInput, type AttributeSchema, type AttributeValues, parseAttributes } from './attributes.ts';
import type { MdevBehaviour } from './behaviour.ts';
import type { MdevContext } from './context.ts';
import {
  type DeclarationPlatform,
  type DeviceDeclaration,
  deviceDeclaration,
  type PciDeclaration,
} from './device-declaration.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { declaredName } from '../base/names.ts';
import { defaultPlatformCapabilities, type PlatformOverrides } from '../platform/platform-capabilities.ts';
import { checkPlatform } from '../platform/platform-overrides.ts';
import type { Regions } from '../regions/regions.ts';
import type { ResourcePool } from '../registry/resource-pool.ts';
import { type SvaDeclaration, svaLimits } from '../sva/sva-declaration.ts';

/** What a vendor declares. */
export interface MdevTypeDeclaration<
  S extends AttributeSchema,
  R extends Regions,
  T extends Disposable | undefined = undefined,
  C extends readonly Capability[] = readonly Capability[],
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
  readonly pci: PciDeclaration<C> | ((attributes: AttributeValues<S>) => PciDeclaration<C>);
  /** What is behind the BARs; a function of the attributes is called once per distinct set of values. */
  readonly regions: R | ((attributes: AttributeValues<S>) => R);
  /** What an instance takes from its parent. Without it only the parent's `maxInstances` counts. */
  readonly resources?: ResourcePool<AttributeValues<S>, NonNullable<T>>;
  /** That its instances reach memory by PASID; it has a PASID capability then, and PRI with ATS if it asks for pages. Absent: they do not. */
  readonly sva?: SvaDeclaration;
  /** Where this device differs from the defaults. */
  readonly platform?: PlatformOverrides;
  /** Makes the behaviour of one instance. Throwing refuses the instance and leaves nothing behind. */
  create(
    context: MdevContext<AttributeValues<S>, R, T, C>,
  ): MdevBehaviour<NoInfer<R>, C> | Promise<MdevBehaviour<NoInfer<R>, C>>;
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
  readonly platform: PlatformOverrides;
  /** That its instances reach memory by PASID; undefined: they do not. */
  readonly sva: SvaDeclaration | undefined;
  /** What instances take from their parent beside a place. */
  readonly resources: ResourcePool<AttributeValues, Disposable> | undefined;
  /**
   * Checks an operator's values for an instance and fills in the defaults.
   * @throws {@link MdevError} `EINVAL`, see `parseAttributes`; also for values that do not go together.
   */
  parseAttributes(input: AttributeInput): AttributeValues;
  /**
   * The same object for the same values.
   * @param platform Where the instance's platform differs from the defaults, as far as it is seen in a declaration.
   */
  declarationOf(attributes: AttributeValues, platform?: DeclarationPlatform): DeviceDeclaration;
  /** The vendor's `create`. */
  create(context: object): MdevBehaviour | Promise<MdevBehaviour>;
}

/**
 * Declarations of this many distinct sets of values are kept for the next instance; a running instance keeps its own.
 */
const KEPT_DECLARATIONS = 32;

/**
 * Declares a type of mediated device. What the attributes make of it is tried at once, with the defaults and with each
 * attribute alone at its bounds.
 * @throws `DeclarationError` that names the type: no name, defaults that do not go together, BARs, capabilities and MSI-X
 * tables that do not fit. Sets of values that were not tried throw it when the first instance has them.
 */
export function defineMdevType<
  const S extends AttributeSchema = Readonly<Record<string, never>>,
  const R extends Regions = Regions,
  T extends Disposable | undefined = undefined,
  const C extends readonly Capability[] = readonly Capability[],
>(declaration: MdevTypeDeclaration<S, R, T, C>): MdevType {
  const id = declaredName('type', declaration.id);
  const where = `type ${id}`;
  const schema: AttributeSchema = declaration.attributes ?? {};
  const declarations = new Map<string, DeviceDeclaration>();
  try {
    checkPlatform(declaration.platform ?? {});
  } catch (error) {
    throw new DeclarationError(`${where}: ${messageOf(error)}`, { cause: error });
  }

  function build(attributes: AttributeValues<S>, platform: DeclarationPlatform): DeviceDeclaration {
    try {
      const { pci, regions } = declaration;
      const built = deviceDeclaration(
        typeof regions === 'function' ? regions(attributes) : regions,
        typeof pci === 'function' ? pci(attributes) : pci,
        platform,
      );
      if (declaration.sva !== undefined) svaLimits(declaration.sva, built.configSpace);
      return built;
    } catch (error) {
      if (error instanceof DeclarationError) throw new DeclarationError(`${where}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  const problemOf = (attributes: AttributeValues): string | undefined =>
    declaration.checkAttributes?.(attributes as AttributeValues<S>);
  const defaults = parseAttributes(schema, {}, where);
  const problem = problemOf(defaults);
  if (problem !== undefined) throw new DeclarationError(`${where}: its defaults do not go together: ${problem}`);
  const dependsOnAttributes = typeof declaration.regions === 'function' || typeof declaration.pci === 'function';
  for (const sample of dependsOnAttributes ? attributeSamples(schema) : [defaults]) {
    if (problemOf(sample) === undefined) build(sample as AttributeValues<S>, defaultPlatformCapabilities);
  }

  return {
    id,
    name: declaration.name ?? id,
    description: declaration.description,
    deviceApi: 'vfio-pci',
    attributes: schema,
    platform: declaration.platform ?? {},
    sva: declaration.sva,
    // Values of this type's own schema are the only ones that reach these two (see `parseAttributes`).
    resources: declaration.resources,
    parseAttributes(input) {
      const attributes = parseAttributes(schema, input, where);
      const problem = problemOf(attributes);
      if (problem !== undefined) throw new MdevError('EINVAL', `${where}: ${problem}`);
      return attributes;
    },
    declarationOf(attributes, { subPageBars } = defaultPlatformCapabilities) {
      const key = JSON.stringify([attributes, subPageBars]);
      let built = declarations.get(key);
      declarations.delete(key);
      built ??= build(attributes as AttributeValues<S>, { subPageBars });
      declarations.set(key, built);
      const oldest = declarations.keys().next();
      if (declarations.size > KEPT_DECLARATIONS && oldest.done !== true) declarations.delete(oldest.value);
      return built;
    },
    create: (context) => declaration.create(context as MdevContext<AttributeValues<S>, R, T, C>),
  };
}
