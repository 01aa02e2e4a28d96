import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import {
  configSpace,
  describe as describeBlock,
  memoryBar,
  msix,
  pciExpress,
  powerManagement,
} from '../../src/emulation/index.ts';
import type { Description } from '../guest/support/description.ts';
import { configImage, lspciOf, readOnlyDifferences } from '../guest/support/description.ts';
import { parseSummary } from '../guest/support/dmatest.ts';
import { parseAllowList, readAllowLists, unexpectedLines } from '../guest/support/kernel-log.ts';
import { parseLspci } from '../guest/support/lspci.ts';
import { parseParts } from '../guest/support/parts.ts';

const kit = resolve(import.meta.dirname, '../guest');

describe('the guest’s output', () => {
  it('is cut into parts', () => {
    expect(parseParts('noise\n@@ boot\n1.6\r\n\n@@ empty\n@@ boot\n2\n')).toEqual([
      { name: 'boot', lines: ['1.6'] },
      { name: 'empty', lines: [] },
      { name: 'boot', lines: ['2'] },
    ]);
  });

  it('has summaries of dmatest', () => {
    expect(
      parseSummary('[ 1.96] dmatest: dma0chan0-copy0: summary 100 tests, 3 failures 821.42 iops 6982 KB/s (-5)'),
    ).toEqual({ tests: 100, failures: 3 });
    expect(() => parseSummary('dmatest: Started 1 threads')).toThrow(/not a summary/);
  });
});

describe('an allow list', () => {
  it.each(readdirSync(join(kit, 'allow')))('gives a reason on every line: %s', (name) => {
    expect(readAllowLists([name]).length).toBeGreaterThan(0);
  });

  it('of one scenario is of no use to the others', () => {
    const line = '<3>[    1.2] idxd 0000:00:01.0: HALT: dsa0 config fails';
    expect(unexpectedLines([line], readAllowLists(['common']))).toEqual([line]);
    expect(unexpectedLines([line], readAllowLists(['common', 'flr']))).toEqual([]);
  });

  it.each(['^idxd: hello$', '^idxd ## ', 'a ## b ## c'])('refuses "%s"', (line) => {
    expect(() => parseAllowList(`# comment\n\n${line}\n`, 'mine')).toThrow('mine line 3');
  });
});

describe('the kernel log', () => {
  const allowed = parseAllowList('^idxd \\S+: quite normal$ ## a test', 'mine');

  it.each([
    '<4>[    1.2] idxd 0000:00:01.0: odd',
    '<3>[    1.2] idxd 0000:00:01.0: Device is HALTED!',
    '<28>[    1.2] dmaengine wq0.0: daemon facility, warning level',
    '<4>[    1.2] dsa dsa0: odd',
    '<2>[    1.2][    T1] DMAR: fault',
    '<3>[    1.2] irq 22: nobody cared (try booting with the "irqpoll" option)',
    '<4>[    1.2] uio_pci_generic 0000:00:01.0: No IRQ assigned to device: no support for interrupts?',
    '<4>[    1.2] idxd 0000:00:01.0: quite normal, with more behind it',
    '<6>[    1.2] BUG: kernel NULL pointer dereference, address: 0000000000000484',
    '<4>[    1.2] WARNING: CPU: 0 PID: 1 at drivers/dma/idxd/irq.c:12',
    '<4>[    1.2] Call Trace:',
  ])('does not accept %s', (line) => {
    expect(unexpectedLines([line], allowed)).toEqual([line]);
  });

  it.each([
    '<4>[    1.2] idxd 0000:00:01.0: quite normal',
    '<6>[    1.2] idxd 0000:00:01.0: Intel(R) Accelerator Device (v100)',
    '<4>[    0.9] mtrr: your CPUs had inconsistent MTRRdefType settings',
    '<6>[    1.2] dmatest: dma0chan0-copy0: summary 100 tests, 0 failures 821.42 iops 6982 KB/s (0)',
    '',
  ])('accepts %s', (line) => {
    expect(unexpectedLines([line], allowed)).toEqual([]);
  });
});

it('reads what lspci says', () => {
  const text = `00:01.0 Class 0880: Device 8086:0b25
	Region 0: Memory at febe0000 (64-bit, prefetchable) [size=64K]
	Region 2: Memory at febc0000 (32-bit, non-prefetchable) [size=512]
	Capabilities: [40] Express (v2) Root Complex Integrated Endpoint, IntMsgNum 0
		DevCap:	MaxPayload 512 bytes, PhantFunc 0
			ExtTag- RBE+ FLReset+ TEE-IO-
	Capabilities: [80] MSI-X: Enable+ Count=9 Masked-
		Vector table: BAR=0 offset=00002000
		PBA: BAR=0 offset=00003000
	Capabilities: [90] Power Management version 3
		Flags: PMEClk- DSI- D1- D2- AuxCurrent=0mA PME(D0-,D1-,D2-,D3hot-,D3cold-)
	Capabilities: [100 v2] Advanced Error Reporting`;
  expect(parseLspci(text.split('\n'))).toEqual({
    regions: [
      { index: 0, width: 64, prefetchable: true, size: 65536 },
      { index: 2, width: 32, prefetchable: false, size: 512 },
    ],
    capabilities: [
      { offset: 0x40, name: 'Express (v2)' },
      { offset: 0x80, name: 'MSI-X' },
      { offset: 0x90, name: 'Power Management version 3' },
    ],
    msix: { vectors: 9, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } },
    functionLevelReset: true,
  });
});

describe('a described configuration space', () => {
  const space = configSpace({
    vendorId: 0x8086,
    deviceId: 0x0b25,
    classCode: 0x088000,
    bars: { 0: memoryBar({ size: 65536, width: 64, prefetchable: true }) },
    capabilities: [
      pciExpress({ offset: 0x40, functionLevelReset: true }),
      msix({ vectors: 9, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } }),
      powerManagement({}),
    ],
  });
  /** As `mdev describe --json` prints it: 64-bit values as strings. */
  const description = JSON.parse(
    JSON.stringify(
      {
        configSpace: {
          size: space.size,
          bars: Object.entries(space.bars).map(([index, bar]) => ({ index: Number(index), ...bar })),
          capabilities: space.capabilities,
          registers: describeBlock(space.block),
        },
      },
      (_key, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value),
    ),
  ) as Description;

  const hasLspci = spawnSync('lspci', ['--version']).status === 0;
  it.skipIf(!hasLspci)('is decoded by lspci', () => {
    const seen = lspciOf(configImage(description));
    expect(seen.capabilities.map(({ name }) => name)).toEqual(['Express (v2)', 'MSI-X', 'Power Management version 3']);
    expect(seen.capabilities.map(({ offset }) => offset)).toEqual(space.capabilities.map(({ offset }) => offset));
    expect(seen.msix).toEqual({ vectors: 9, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } });
    expect(seen.functionLevelReset).toBe(true);
  });

  it('is compared bit by bit where nobody can change it', () => {
    const seen = configImage(description);
    expect(readOnlyDifferences(description, seen)).toEqual([]);
    // COMMAND.memorySpace is the guest's; the table's place in MSI-X is not.
    seen[4] = 0x02;
    expect(readOnlyDifferences(description, seen)).toEqual([]);
    const table = description.configSpace.registers.find(({ path }) => path === 'MSIX.TABLE');
    seen[(table?.offset ?? NaN) + 1] = 0x10;
    expect(readOnlyDifferences(description, seen)).toEqual([expect.stringContaining('MSIX.TABLE.offset')]);
  });
});

describe('the scripts of the kit', () => {
  it.each(['setup.sh', 'mkinitramfs.sh', 'guest-run'])(
    '%s explains itself and refuses what it does not know',
    (name) => {
      const help = spawnSync(`${kit}/${name}`, ['--help'], { encoding: 'utf8' });
      expect(help).toMatchObject({ status: 0, stderr: '' });
      expect(help.stdout).toContain(`usage: ${name}`);
      const wrong = spawnSync(`${kit}/${name}`, ['--no-such-option'], { encoding: 'utf8' });
      expect(wrong).toMatchObject({ status: 2, stdout: '' });
      expect(wrong.stderr).toContain(`usage: ${name}`);
    },
  );
});
