import { expect, it } from 'vitest';

import { MdevError, VfioError } from '../../../src/mdev/index.ts';

const missing = Object.assign(new Error('no such file: /etc/acme'), { code: 'ENOENT' });

it('an instance answers with the code of an MdevError, and of nothing else', () => {
  expect(VfioError.from(new MdevError('EBUSY', 'held'), 'deviceReset')).toMatchObject({
    name: 'VfioError',
    code: 'EBUSY',
    errno: 16,
    request: 'deviceReset',
    message: 'held',
  });
  expect(VfioError.from(missing)).toMatchObject({ code: 'EIO', errno: 5, message: missing.message, cause: missing });
  const own = new VfioError('EPROTO', 'no sense');
  expect(VfioError.from(own)).toBe(own);
});

it('the operating system answers with the code of what it threw', () => {
  expect(VfioError.ofSystem(missing)).toMatchObject({ code: 'ENOENT', errno: 2, cause: missing });
  expect(VfioError.ofSystem(new Error('?'))).toMatchObject({ code: 'EIO', errno: 5 });
});
