import type { Attribute, AttributeSchema, AttributeValues } from './attributes.ts';

/** Values of an attribute that differ from its default and are worth trying. */
function extremes(attribute: Attribute): readonly (string | number | boolean)[] {
  switch (attribute.kind) {
    case 'integer':
      return [attribute.minimum, attribute.maximum];
    case 'flag':
      return [!attribute.default];
    case 'choice':
      return attribute.values;
  }
}

/**
 * Sets of values that a declaration of the attributes is tried with: the defaults, and then each attribute alone at its
 * bounds, or as every one of its words.
 */
export function* attributeSamples(schema: AttributeSchema): Generator<AttributeValues> {
  const defaults = Object.fromEntries(Object.entries(schema).map(([name, attribute]) => [name, attribute.default]));
  yield Object.freeze({ ...defaults });
  for (const [name, attribute] of Object.entries(schema)) {
    for (const value of extremes(attribute)) {
      if (value !== attribute.default) yield Object.freeze({ ...defaults, [name]: value });
    }
  }
}
