import { expect, it } from 'vitest';

import { eventfd } from '../../../src/vfio-user/index.ts';
import { Command, IrqSetFlag } from '../../../src/vfio-user/protocol/constants.ts';
import { encodeSetIrqs } from '../../../src/vfio-user/protocol/structures/index.ts';
import { Bench } from '../../vfio-user/support/bench.ts';
import { MSIX } from '../../vfio-user/support/test-device.ts';

const assign = IrqSetFlag.trigger | IrqSetFlag.eventfd;

it('D6: taking the eventfds of a sub-range away silences that sub-range, and only that', async () => {
  await using bench = new Bench();
  const peer = bench.peer();
  await peer.negotiate();
  const events = Array.from({ length: 4 }, () => eventfd());
  const command = Command.deviceSetIrqs;
  const fds = events.map(({ fd }) => fd);
  await peer.ask({ command }, encodeSetIrqs({ flags: assign, index: MSIX, start: 0, count: 4 }), fds);
  const silenced = encodeSetIrqs({ flags: assign, index: MSIX, start: 2, count: 1 });
  expect((await peer.ask({ command }, silenced))?.header.errno).toBe(0);
  for (let vector = 0; vector < 4; ++vector) bench.device.core.triggerIrq(MSIX, vector);
  expect(events.map((event) => event.read())).toEqual([1, 1, 0, 1]);
  for (const event of events) event.close();
});
