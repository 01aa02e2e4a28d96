/** How a VMM is told to use a served instance: its arguments, not quoted. */
export interface VmmArguments {
  /** For QEMU 10.1 or newer; `socket` is structured, so the device is given as JSON. */
  readonly qemu: readonly [option: '-device', value: string];
  /** For Cloud Hypervisor. */
  readonly cloudHypervisor: readonly [option: '--user-device', value: string];
}

/** @param socketPath - absolute path of the served socket */
export function vmmArguments(socketPath: string): VmmArguments {
  const device = { driver: 'vfio-user-pci', socket: { type: 'unix', path: socketPath } };
  return {
    qemu: ['-device', JSON.stringify(device)],
    cloudHypervisor: ['--user-device', `socket=${socketPath}`],
  };
}

/** Words for a POSIX shell: what does not look like an option is quoted. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (/^--?[a-z-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
