import type { DeviceCore } from './binding.ts';

declare const opaque: unique symbol;

/**
 * The native half of a device for those that only hand it on: a vendor's code and a VMM's. Layers above this one open it
 * with {@link coreOf}, which the package does not export.
 */
export interface DeviceHandle {
  readonly [opaque]: 'DeviceHandle';
}

const cores = new WeakMap<DeviceHandle, DeviceCore>();

/** Makes the handle of a device. */
export function deviceHandle(core: DeviceCore): DeviceHandle {
  const handle = Object.freeze({}) as DeviceHandle;
  cores.set(handle, core);
  return handle;
}

/**
 * The native half behind a handle.
 * @throws TypeError for anything else.
 */
export function coreOf(handle: DeviceHandle): DeviceCore {
  const core = cores.get(handle);
  if (core === undefined) throw new TypeError('not the handle of a device');
  return core;
}
