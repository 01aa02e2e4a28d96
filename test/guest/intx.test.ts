import { expect, it } from 'vitest';

import { bootGuest } from './support/guest.ts';
import { intxDevice } from './support/intx-device.ts';

// The handler of uio_pci_generic turns DisINTx on before anything unmasks the line, so what it is told again comes from there. That an unmask tells it again
// is shown without a guest: test/protocol/device-set-irqs-intx.test.ts.
it('INTx: none lost, no storm, interruptDisable obeyed', async () => {
  const rounds = 500;
  const guest = await bootGuest({
    devices: [intxDevice()],
    script: 'intx.sh',
    env: { ROUNDS: rounds },
    trace: ['vfio_intx_interrupt'],
  });
  expect(Number(guest.part('irq')[0])).toBeGreaterThan(0);
  expect(guest.part('lspci').join('\n')).toMatch(/Interrupt: pin A routed to IRQ/);
  // uio_intx.c: all serviced ones, the first and all of those that are not, half of those raised under the mask.
  const expected = rounds + 1 + rounds + rounds / 2;
  expect(guest.part('events')).toEqual([String(expected)]);
  const taken = guest.part('interrupts').join(' ').split(' ').map(Number);
  expect(taken.reduce((sum, count) => sum + count)).toBe(expected);
  // What the server fired: of those that are not serviced only where the VMM has unmasked the line in between.
  expect(guest.traced('vfio_intx_interrupt')).toBe(rounds + 1 + rounds / 2 + rounds / 2);
});
