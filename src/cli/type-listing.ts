import { type Attribute, expectedValues, type MdevType, type ParentDevice } from '../mdev/index.ts';

/** `mdev types` as text, in mdevctl's layout with the attributes below. */
export function formatTypes(parents: readonly ParentDevice[]): string {
  return parents
    .flatMap((parent) => [parent.name, ...parent.types.flatMap((type) => formatType(parent, type))])
    .join('\n');
}

function formatType(parent: ParentDevice, type: MdevType): readonly string[] {
  const attributes = Object.entries(type.attributes);
  return [
    `  ${type.id}`,
    `    Available instances: ${parent.availableInstances(type.id)}`,
    `    Device API: ${type.deviceApi}`,
    `    Name: ${type.name}`,
    ...(type.description === undefined ? [] : [`    Description: ${type.description.replaceAll('\n', ' ')}`]),
    ...(attributes.length === 0 ? [] : ['    Attributes:']),
    ...attributes.map(([name, attribute]) => `      ${formatAttribute(name, attribute)}`),
  ];
}

function formatAttribute(name: string, attribute: Attribute): string {
  return `${name}: ${expectedValues(attribute)}, default ${attribute.default}: ${attribute.description}`;
}

/** `mdev types --json`: mdevctl's `types --dumpjson` with an `attributes` object in every type. */
export function typesAsData(parents: readonly ParentDevice[]): unknown {
  return parents.map((parent) => ({
    [parent.name]: parent.types.map((type) => ({
      [type.id]: {
        available_instances: parent.availableInstances(type.id),
        device_api: type.deviceApi,
        name: type.name,
        description: type.description,
        attributes: type.attributes,
      },
    })),
  }));
}
