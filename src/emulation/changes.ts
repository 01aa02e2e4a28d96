import type { Entry } from './entry.ts';
import { codecOf, type FieldCodec } from './field-codec.ts';
import type { RegisterStorage } from './storage.ts';

/** The fields of a register that a hook returned, as masks and bits in signed halves. */
export class Changes {
  maskLow = 0;
  maskHigh = 0;
  bitsLow = 0;
  bitsHigh = 0;

  /** No changes. */
  clear(): void {
    this.maskLow = 0;
    this.maskHigh = 0;
    this.bitsLow = 0;
    this.bitsHigh = 0;
  }

  /**
   * Takes the result of a hook.
   *
   * @throws TypeError if it is no object of declared fields, RangeError if a value does not fit
   */
  collect(result: unknown, entry: Entry, hook: string): void {
    this.clear();
    if (result === undefined) return;
    const { path, register } = entry.laidOut;
    if (typeof result !== 'object' || result === null)
      throw new TypeError(`${path}: ${hook} must return nothing or an object of the fields it changes`);
    if ('then' in result && typeof result.then === 'function') {
      // The error below stands for whatever becomes of it; a rejection that nobody handles would end the process.
      void Promise.resolve(result as PromiseLike<unknown>).catch(() => undefined);
      throw new TypeError(`${path}: ${hook} returned a promise; hooks are synchronous`);
    }
    for (const [name, value] of Object.entries(result) as [string, unknown][]) {
      if (value === undefined) continue;
      const field = Object.hasOwn(register.fields, name) ? register.fields[name] : undefined;
      if (field === undefined) throw new TypeError(`${path}: ${hook} returned "${name}", which is no field of it`);
      const codec: FieldCodec = codecOf(field);
      codec.check(value, path, name);
      this.maskLow |= codec.maskLow;
      this.maskHigh |= codec.maskHigh;
      this.bitsLow |= codec.low(value);
      this.bitsHigh |= codec.high(value);
    }
  }

  /** Stores the changes in the register, if there are any. */
  apply(storage: RegisterStorage, entry: Entry): void {
    if ((this.maskLow | this.maskHigh) !== 0)
      storage.assign(entry, this.maskLow, this.maskHigh, this.bitsLow, this.bitsHigh);
  }
}
