// The demo's second process, in the place of a VMM and its guest: guest.js SOCKET TYPE [OPERATION]
import { type DsaRegisterBlock, softwareDsa } from '../../backends/idxd/index.ts';
import { messageOf } from '../../mdev/base/message-of.ts';
import { connect } from '../../vfio-user/index.ts';
import { oneLine, outliveReaders, print } from '../messages.ts';
import { DsaDriver } from './dsa-driver.ts';
import { InterruptLine } from './interrupt-line.ts';
import { Mismatch } from './mismatch.ts';
import { OPERATION_NAMES } from './operation-names.ts';
import { PciFunction } from './pci-function.ts';
import { formatConfigSpace, formatOperations } from './report.ts';
import { runOperations } from './scenario.ts';
import { within } from './wait.ts';

/** How long everything may take, milliseconds. */
const PATIENCE_MS = 30_000;

outliveReaders();
const [socketPath = '', typeName = '', corrupt] = process.argv.slice(2);
try {
  await within(play(), 'the end of the operations', PATIENCE_MS);
} catch (error) {
  const message = messageOf(error);
  process.stderr.write(`${error instanceof Mismatch ? 'mismatch' : 'failed'}: ${oneLine(message)}\n`);
  process.exitCode = 1;
}
// A reply that never comes must not keep the process.
process.exit();

async function play(): Promise<void> {
  const { configSpace, regions } = declarationOf(typeName);
  await using device = await connect({ socketPath });
  const lines = [new InterruptLine(0), new InterruptLine(1)] as const;
  try {
    const pci = new PciFunction(device, configSpace);
    await pci.probe();
    print(formatConfigSpace(configSpace, pci.window.describe()));
    await pci.enable();
    await pci.assignInterrupts(lines.map(({ fd }) => fd));

    const [commands, completions] = lines;
    const driver = new DsaDriver(device, blockOf(regions), commands);
    await driver.enable();
    print(`\nDevice and queue are enabled. Each descriptor goes to the portal in eight posted writes.`);
    const planted = OPERATION_NAMES.find((name) => name === corrupt);
    const rows = await runOperations(device, driver, completions, planted);
    await driver.disable();
    for (const line of lines) line.expectCount(0, 'the end');
    print(formatOperations(rows));
    print(`All ${rows.length} as expected: records, all of memory, and one interrupt each.`);
  } finally {
    for (const line of lines) line.close();
  }
}

/** What the type's declaration says that the device is. */
function declarationOf(name: string): ReturnType<ReturnType<ReturnType<typeof softwareDsa>['type']>['declarationOf']> {
  const type = softwareDsa().type(name);
  return type.declarationOf(type.parseAttributes({}));
}

function blockOf(regions: ReturnType<typeof declarationOf>['regions']): DsaRegisterBlock {
  if (regions.bar0?.kind !== 'mmio') throw new Error(`type ${typeName} has no registers in BAR 0`);
  // Types of the software DSA have its registers there.
  return regions.bar0.block as unknown as DsaRegisterBlock;
}
