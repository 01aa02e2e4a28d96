import { expect, test } from 'vitest';

import { createDeviceCore } from '../../src/native/binding.ts';
import { coreOf, deviceHandle } from '../../src/native/device-handle.ts';

test('a handle shows nothing and leads only this layer to its device', () => {
  const core = createDeviceCore();
  const handle = deviceHandle(core);
  expect(Reflect.ownKeys(handle)).toEqual([]);
  expect(Object.getPrototypeOf(handle)).toBe(Object.prototype);
  expect(coreOf(handle)).toBe(core);
  for (const other of [core, { ...handle }]) expect(() => coreOf(other as never)).toThrow(TypeError);
  core.close();
});
