import { expect, it } from 'vitest';

import { eventfd } from '../../../src/vfio-user/index.ts';
import { Command, IrqSetFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeSetIrqs } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { MSIX } from '../../vfio-user/support/test-device.ts';

const assign = IrqSetFlag.trigger | IrqSetFlag.eventfd;

it('D7: disabling INTx leaves the vectors of MSI-X alone', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const event = eventfd();
  const command = Command.deviceSetIrqs;
  await peer.ask({ command }, encodeSetIrqs({ flags: assign, index: MSIX, start: 0, count: 1 }), [event.fd]);
  const flags = IrqSetFlag.trigger | IrqSetFlag.none;
  expect((await peer.ask({ command }, encodeSetIrqs({ flags, index: 0, start: 0, count: 0 })))?.header.errno).toBe(0);
  bench.device.core.triggerIrq(MSIX, 0);
  expect(event.read()).toBe(1);
  event.close();
});
