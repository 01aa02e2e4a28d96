import { expect, it } from 'vitest';

import type { NativeConnection } from '../../../src/vfio-user/native.ts';
import { writeVersion } from '../../../src/vfio-user/protocol/version.ts';
import { VersionNegotiation } from '../../../src/vfio-user/server/version-negotiation.ts';
import { TestDevice } from '../support/test-device.ts';

it('a client that does not get the device has agreed on nothing', () => {
  using device = new TestDevice();
  const native = { negotiated: () => undefined, answer: () => undefined, close: () => undefined };
  const negotiation = new VersionNegotiation({
    device,
    native: native as unknown as NativeConnection,
    name: 'a client',
    features: { writeMultiple: false, twinSocket: false },
    mayHold: () => true,
    holds: () => undefined,
  });
  const before = negotiation.limits;
  const offer = writeVersion({ major: 0, minor: 0, capabilities: { max_msg_fds: 3, max_data_xfer_size: 4096 } });
  device.refusal = 'EIO';
  expect(negotiation.version(offer)).toMatchObject({ errno: 5 });
  expect([negotiation.agreed, negotiation.limits, negotiation.isHolder]).toEqual([undefined, before, false]);
  // It may try again.
  device.refusal = undefined;
  expect(negotiation.version(offer)).toBe(undefined);
  expect(negotiation.agreed?.client.capabilities.max_msg_fds).toBe(3);
  expect([negotiation.limits.maxFds, negotiation.limits.maxTransfer]).toEqual([3, 4096]);
  negotiation.end();
  expect([negotiation.agreed, device.holder]).toEqual([undefined, undefined]);
});
