import type { MdevDevice } from '../mdev/index.ts';
import { shellWords, vmmArguments } from './vmm-arguments.ts';

/** Where an instance is served. */
export type ServedAt = { readonly socketPath: string } | { readonly fd: number };

/**
 * The one line that says that clients can come.
 *
 * @param address - with an absolute `socketPath`
 */
export function readyLine(device: MdevDevice, address: ServedAt, json: boolean): string {
  const { attributes, parent, type, uuid } = device;
  const vmm = 'socketPath' in address ? vmmArguments(address.socketPath) : undefined;
  if (json) return JSON.stringify({ uuid, parent: parent.name, type: type.id, attributes, ...address, ...vmm });
  const where =
    vmm === undefined
      ? `the socket of file descriptor ${'fd' in address ? address.fd : ''}`
      : `QEMU: ${shellWords(vmm.qemu)} Cloud Hypervisor: ${shellWords(vmm.cloudHypervisor)}`;
  return `serving ${uuid} (${type.id} on ${parent.name}) to ${where}`;
}
