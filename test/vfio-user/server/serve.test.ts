import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { MdevError } from '../../../src/mdev/index.ts';
import { closeFd } from '../../../src/native/binding.ts';
import { duplicateFd } from '../../../src/native/file-descriptor.ts';
import { memoryFile, serve, type ServeAddress, type ServeOptions } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { TestDevice } from '../support/test-device.ts';

let directory = '';
let device: TestDevice;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mdev-serve-'));
  device = new TestDevice();
});
afterEach(() => {
  device[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** What `serve` throws. */
function mistake(address: ServeAddress, options?: ServeOptions): MdevError {
  try {
    serve(device, address, options);
  } catch (error) {
    if (error instanceof MdevError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

it('names a path and what is wrong with it', () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  for (const [socketPath, code] of [
    [file, 'EADDRINUSE'],
    [join(file, 'below'), 'ENOTDIR'],
    [join(directory, 'missing', 'socket'), 'ENOENT'],
    [join(directory, 'x'.repeat(108)), 'ENAMETOOLONG'],
  ] as const) {
    const error = mistake({ socketPath });
    expect([error.code, error.message.includes(socketPath)]).toEqual([code, true]);
    expect(error.cause).toBeInstanceOf(Error);
  }
});

it('names a descriptor and what is wrong with it, and leaves it to the caller', () => {
  const file = memoryFile(4096);
  const error = mistake({ fd: file.fd });
  expect([error.code, error.message]).toEqual(['EINVAL', expect.stringContaining(`file descriptor ${file.fd} `)]);
  closeFd(duplicateFd(file.fd));
  file.close();
});

it.each([-1, 1.5, Number.NaN, 2 ** 31])('takes no %s for a descriptor', (fd) => {
  expect(mistake({ fd })).toMatchObject({ code: 'EBADF', message: expect.stringContaining(`fd is ${fd};`) as string });
});

it.each([0, -1, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY])('takes no %s for a timeout', (negotiationTimeout) => {
  const socketPath = join(directory, 'socket');
  const [near, far] = socketPair();
  for (const address of [{ socketPath }, { fd: near }]) {
    expect(mistake(address, { negotiationTimeout })).toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining(`negotiationTimeout is ${negotiationTimeout}; expected 1 to`) as string,
    });
  }
  // Nothing was begun.
  expect(existsSync(socketPath)).toBe(false);
  for (const fd of [near, far]) closeFd(fd);
});
