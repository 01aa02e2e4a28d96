import { readdirSync, readlinkSync } from 'node:fs';

import { describe, expect, it, vi } from 'vitest';

import { createDeviceCore, type DeviceCore } from '../../src/native/binding.ts';

const ECANCELED = 125;

/** A device that may reach memory, and whose memory without a file `answers` for. */
function device(answers: string[]): { readonly core: DeviceCore; readonly memory: (name: string) => void } {
  const core = createDeviceCore();
  core.setBusMaster(true);
  const memory = (name: string): void => {
    core.setMessageMemory({
      transfer: () => {
        answers.push(name);
        return 0;
      },
    });
  };
  return { core, memory };
}

/** Open ones of this process: what waits for an answer in this process has one. */
function eventfds(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventfd]';
    } catch {
      return false;
    }
  }).length;
}

/** Asks for memory without a file; resolves with the errno. */
function ask(core: DeviceCore): Promise<number> {
  return new Promise((resolve) => {
    const errno = core.dmaTransfer(false, 0n, new Uint8Array(8), resolve);
    if (errno !== 0) resolve(errno);
  });
}

describe('memory without a file of a client in this process', () => {
  it.each(['another', 'none'] as const)('is what was said last, while %s takes its place', async (next) => {
    const answers: string[] = [];
    const { core, memory } = device(answers);
    memory('first');
    const ended: number[] = [];
    core.dmaTransfer(false, 0n, new Uint8Array(8), (errno) => {
      ended.push(errno);
      memory('last');
    });
    if (next === 'another') memory('second');
    else core.setMessageMemory(null);
    expect(ended).toEqual([ECANCELED]);
    expect(await ask(core)).toBe(0);
    expect(answers).toEqual(['last']);
    core.close();
  });

  it('is gone when the device is closed while it is replaced', async () => {
    const answers: string[] = [];
    const { core, memory } = device(answers);
    const before = eventfds();
    memory('first');
    expect(eventfds()).toBe(before + 1);
    core.dmaTransfer(false, 0n, new Uint8Array(8), () => {
      core.close();
    });
    memory('second');
    // libuv gives a descriptor back when its loop comes by.
    await vi.waitFor(() => {
      expect(eventfds()).toBe(before);
    });
    expect(answers).toEqual([]);
  });
});
