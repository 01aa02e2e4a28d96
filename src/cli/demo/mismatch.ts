/** The device did something else than it should. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';

  constructor(what: string, got: string, expected: string) {
    super(`${what} is ${got}; expected ${expected}`);
  }
}

/** @throws Mismatch unless both are the same number, bigint, boolean or text */
export function expectSame<T extends number | bigint | boolean | string>(what: string, got: T, expected: T): void {
  if (got !== expected) throw new Mismatch(what, show(got), show(expected));
}

function show(value: number | bigint | boolean | string): string {
  return typeof value === 'number' || typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value);
}
