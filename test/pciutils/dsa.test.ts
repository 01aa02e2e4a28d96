// An independent reader of config space: pciutils decodes a dump of ours.
import { describe, expect, it } from 'vitest';

import { RegisterRegion } from '../../src/emulation/index.ts';
import { dsaFunction } from '../emulation/pci/support/dsa-function.ts';
import { decode } from './support/decode.ts';

describe('lspci', () => {
  const region = new RegisterRegion(dsaFunction.block);
  region.registers.COMMAND.memorySpace = true;
  region.registers.COMMAND.busMaster = true;
  region.registers.BAR0.value = 0x8000_000c;
  region.registers.BAR2.value = 0x9000_000c;
  region.registers.MSIX.CONTROL.enable = true;
  const bytes = new Uint8Array(dsaFunction.size);
  region.read(0, bytes);
  const [text = ''] = decode([bytes]);

  it.each([
    '0880: 8086:0b25',
    'Subsystem: 8086:0000',
    'Control: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-',
    'Status: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-',
    'Region 0: Memory at 80000000 (64-bit, prefetchable)',
    'Region 2: Memory at 90000000 (64-bit, prefetchable)',
    'Capabilities: [40] Express (v2) Root Complex Integrated Endpoint',
    'MaxPayload 512 bytes, PhantFunc 0',
    'ExtTag+ RBE+ FLReset+',
    'RlxdOrd+ ExtTag+ PhantFunc- AuxPwr- NoSnoop+',
    'MaxPayload 128 bytes, MaxReadReq 512 bytes',
    'Capabilities: [80] MSI-X: Enable+ Count=9 Masked-',
    'Vector table: BAR=0 offset=00002000',
    'PBA: BAR=0 offset=00003000',
    'Capabilities: [90] Power Management version 3',
    'Flags: PMEClk- DSI- D1- D2-',
    'Status: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-',
    'Capabilities: [100 v2] Advanced Error Reporting',
    'Capabilities: [150 v1] Latency Tolerance Reporting',
    'Capabilities: [160 v1] Transaction Processing Hints',
    'Capabilities: [170 v1] Virtual Channel',
    'Capabilities: [220 v1] Address Translation Service (ATS)',
    'Capabilities: [230 v1] Process Address Space ID (PASID)',
    'Capabilities: [240 v1] Page Request Interface (PRI)',
    'Page Request Capacity: 00000200, Page Request Allocation: 00000000',
  ])('reads "%s"', (line) => {
    expect(text).toContain(line);
  });

  it('finds nothing wrong', () => {
    expect(text).not.toMatch(/<chain|<invalid|<unassigned|<disabled|Unknown|corrupted/);
  });
});
