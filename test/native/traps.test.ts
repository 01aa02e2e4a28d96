import { expect, it, vi } from 'vitest';

import { createDeviceCore, type TrapHandler } from '../../src/native/binding.ts';
import { bytes, CONFIG, device, EBUSY, EIO, READ_WRITE, table } from './support/device.ts';
import { collectGarbage } from './support/garbage.ts';

it('hands over the access as a whole', () => {
  const access = vi.fn((region: number, offset: number, data: Uint8Array, write: boolean) => {
    calls.push([region, offset, [...data], write]);
    if (!write) data.set(bytes(9, 8, 7));
    return 0;
  });
  const calls: unknown[] = [];
  const { core, words } = device({ access });
  expect(core.write(CONFIG, 6, bytes(1, 2, 3, 4))).toBe(0);
  const into = bytes(1, 1, 1);
  expect(core.read(CONFIG, 9, into)).toBe(0);
  expect(into).toEqual(bytes(9, 8, 7));
  expect(calls).toEqual([
    [CONFIG, 6, [1, 2, 3, 4], true],
    [CONFIG, 9, [0, 0, 0], false],
  ]);
  expect(words[1]).toBe(0);
  expect(core.statistics().traps).toBe(2);
});

it.each([1, 2, 4, 8, 3, 16])('gives %i bytes exactly', (length) => {
  const lengths: number[] = [];
  const { core } = device({
    access: (_region, _offset, data) => {
      lengths.push(data.length);
      return 0;
    },
  });
  for (let times = 0; times < 2; times++) expect(core.write(CONFIG, 8, new Uint8Array(length))).toBe(0);
  expect(lengths).toEqual([length, length]);
});

it('ends with the errno that the handler returns', () => {
  const { core, failures } = device({ access: () => 75, reset: () => 11 });
  const into = bytes(3);
  expect(core.read(CONFIG, 8, into)).toBe(75);
  expect(into).toEqual(bytes(3));
  expect(core.reset()).toBe(11);
  expect(failures).toEqual([]);
});

it('reports what a handler throws, and goes on', () => {
  const error = new Error('a hook failed');
  let broken = true;
  const act = (): number => {
    if (broken) throw error;
    return 0;
  };
  const { core, failures } = device({ access: act, reset: act });
  expect(core.write(CONFIG, 8, bytes(1))).toBe(EIO);
  expect(core.reset()).toBe(EIO);
  expect(failures).toEqual([error, error]);
  broken = false;
  expect(core.write(CONFIG, 8, bytes(1))).toBe(0);
});

it.each([undefined, null, '0', -1, 1.5, NaN, 4096, 2 ** 32, 0n, Promise.resolve(0)])(
  'takes the result %s for a failure',
  (result) => {
    const { core, failures } = device({ access: () => result as number });
    expect(core.write(CONFIG, 8, bytes(1))).toBe(EIO);
    expect(failures).toEqual([expect.any(TypeError)]);
  },
);

it('survives a failure handler that fails', () => {
  const { core } = device({
    access: () => {
      throw new Error('first');
    },
    onFailure: () => {
      throw new Error('second');
    },
  });
  expect(core.write(CONFIG, 8, bytes(1))).toBe(EIO);
  expect(core.write(CONFIG, 0, bytes(1))).toBe(0);
});

it('nests four deep, each level with data of its own', () => {
  const seen: number[][] = [];
  const results: number[] = [];
  const { core } = device({
    access: (_region, _offset, data) => {
      const value = data[0] ?? 0;
      results.push(core.write(CONFIG, 8, bytes(value + 1)));
      seen.push([...data]);
      return 0;
    },
  });
  expect(core.write(CONFIG, 8, bytes(1))).toBe(0);
  expect(seen).toEqual([[4], [3], [2], [1]]);
  expect(results).toEqual([EBUSY, 0, 0, 0]);
});

it('lets a hook close the device', () => {
  const { core } = device({
    access: () => {
      core.close();
      return 0;
    },
  });
  const into = new Uint8Array(4);
  expect(core.read(CONFIG, 8, into)).toBe(0);
  expect(() => core.read(CONFIG, 8, into)).toThrow('the device is closed');
});

it('lets a hook replace the handler', () => {
  const second = vi.fn(() => 0);
  const { core } = device({
    access: () => {
      core.setTrapHandler({ access: second, reset: () => 0, onFailure: () => undefined });
      collectGarbage();
      return 0;
    },
  });
  expect(core.write(CONFIG, 8, bytes(1))).toBe(0);
  expect(core.write(CONFIG, 8, bytes(1))).toBe(0);
  expect(second).toHaveBeenCalledOnce();
});

it('notices an array that a hook detached', () => {
  const into = new Uint8Array(4);
  const { core } = device({
    access: () => {
      structuredClone(into.buffer, { transfer: [into.buffer] });
      return 0;
    },
  });
  expect(() => core.read(CONFIG, 8, into)).toThrow(/into was detached or resized/);
  const from = new Uint8Array(100).fill(1);
  const writing = device({
    access: (_region, _offset, data) => {
      structuredClone(from.buffer, { transfer: [from.buffer] });
      expect(data.every((byte) => byte === 1)).toBe(true);
      return 0;
    },
  });
  expect(writing.core.write(CONFIG, 0, from)).toBe(0);
});

it('fails without a handler, and refuses an incomplete one', () => {
  const core = createDeviceCore();
  core.setRegisterRegion(CONFIG, 0x20, READ_WRITE, table);
  expect(core.write(CONFIG, 8, bytes(1))).toBe(EIO);
  expect(core.reset()).toBe(EIO);
  const incomplete = { access: () => 0, reset: () => 0 } as unknown as TrapHandler;
  expect(() => {
    core.setTrapHandler(incomplete);
  }).toThrow('handler.onFailure is not a function');
});
