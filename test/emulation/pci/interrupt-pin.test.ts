import { describe, expect, it } from 'vitest';

import {
  type ConfigSpace,
  configSpace,
  PciFunction,
  reg8,
  type Register,
  registerBlock,
  type Registers,
  ro,
} from '../../../src/emulation/index.ts';
import { hasInterruptPin } from '../../../src/emulation/pci/interrupt-pin.ts';

const identity = { vendorId: 0x1234, deviceId: 1, classCode: 0x088000 };

/** A config space with another INTERRUPT_PIN, or none. */
function withPin(pin: Register | undefined): ConfigSpace {
  const { INTERRUPT_PIN: _pin, ...others }: Registers = configSpace(identity).block.registers;
  const registers = pin === undefined ? others : { ...others, INTERRUPT_PIN: pin };
  return { ...configSpace(identity), block: registerBlock(256, registers) };
}

describe.each<[string, ConfigSpace, boolean]>([
  ['without one', configSpace(identity), false],
  ['with INTB#', configSpace({ ...identity, interruptPin: 2 }), true],
  ['whose register says nothing', withPin(reg8(0x3d, { pin: ro(7, 0) })), false],
  ['without the register', withPin(undefined), false],
])('the interrupt pin of a function %s', (_what, config, has) => {
  it(`is ${has ? 'there' : 'not there'}, and STATUS shows its level only if it is`, () => {
    expect(hasInterruptPin(config)).toBe(has);
    const { hooks } = new PciFunction(config, { interruptStatus: () => true });
    expect('STATUS' in hooks).toBe(has);
  });
});
