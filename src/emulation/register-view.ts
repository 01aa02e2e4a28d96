import type { Entry } from './entry.ts';
import { codecOf, type FieldCodec } from './field-codec.ts';
import type { FieldValue } from './field.ts';
import type { Register } from './register.ts';
import { halvesOf, valueOf } from './register-value.ts';
import type { RegisterStorage } from './storage.ts';

const PLACE = Symbol('place');

interface Place {
  readonly storage: RegisterStorage;
  readonly entry: Entry;
}

/** A view keeps its place in a hidden property, so that all views of a declaration share their accessors. */
interface Placed {
  readonly [PLACE]: Place;
}

const descriptors = new WeakMap<Register, PropertyDescriptorMap>();

/** The device side of one register: an accessor per field, and `value`. */
export function registerView(storage: RegisterStorage, entry: Entry): object {
  const { register } = entry.laidOut;
  let properties = descriptors.get(register);
  if (properties === undefined) descriptors.set(register, (properties = describeProperties(register)));
  const view = Object.defineProperty({}, PLACE, { value: { storage, entry } satisfies Place });
  return Object.preventExtensions(Object.defineProperties(view, properties));
}

function describeProperties(register: Register): PropertyDescriptorMap {
  const properties: PropertyDescriptorMap = {};
  for (const [name, field] of Object.entries(register.fields)) {
    const codec: FieldCodec = codecOf(field);
    properties[name] = {
      enumerable: true,
      get(this: Placed): FieldValue {
        const { storage, entry } = this[PLACE];
        storage.load(entry);
        return codec.read(storage.low, storage.high);
      },
      set(this: Placed, value: unknown): void {
        const { storage, entry } = this[PLACE];
        codec.check(value, entry.laidOut.path, name);
        storage.assign(entry, codec.maskLow, codec.maskHigh, codec.low(value), codec.high(value));
      },
    };
  }
  properties['value'] = {
    get(this: Placed): number | bigint {
      const { storage, entry } = this[PLACE];
      storage.load(entry);
      return valueOf(register.width, storage.low, storage.high);
    },
    set(this: Placed, value: unknown): void {
      const { storage, entry } = this[PLACE];
      const [low, high] = halvesOf(register.width, value, entry.laidOut.path);
      storage.store(entry, low, high);
    },
  };
  return properties;
}
