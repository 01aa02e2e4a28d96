import { describe, expect, it } from 'vitest';

import { bootGuest } from './support/guest.ts';

// A kit that cannot fail proves nothing.
describe('the kit notices', () => {
  it('a script that fails', async () => {
    await expect(bootGuest({ script: 'probe.sh' })).rejects.toThrow(
      /the script ended with 1\n[^]*guest: no DSA on the PCI bus/,
    );
  });

  it('a guest that does not come to an end', async () => {
    await expect(bootGuest({ script: 'probe.sh', timeout: 1 })).rejects.toThrow(
      /QEMU ended with 124 \(timeout\)\nthe guest did not reach its end/,
    );
  });

  it('a kernel line that nobody expects', async () => {
    await expect(bootGuest({ script: 'warn.sh' })).rejects.toThrow(/unexpected: .*idxd: planted warning/);
  });
});
