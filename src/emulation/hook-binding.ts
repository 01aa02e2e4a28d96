import { HookCall } from './hook-call.ts';
import type { AnyRegisterHooks } from './hook-paths.ts';
import type { Register } from './register.ts';

/** The hooks of one register, or of one register of all elements of an array, bound to a region. */
export class HookBinding {
  readonly hooks: AnyRegisterHooks;
  readonly #register: Register;
  #idle: HookCall | undefined;

  constructor(register: Register, hooks: AnyRegisterHooks) {
    this.hooks = hooks;
    this.#register = register;
  }

  /** Arguments for a call. {@link give} them back after it; a hook that reaches its own register meanwhile gets others. */
  take(): HookCall {
    const call = this.#idle ?? new HookCall(this.#register);
    this.#idle = undefined;
    return call;
  }

  /** Takes back what {@link take} gave. */
  give(call: HookCall): void {
    this.#idle = call;
  }
}
