import type { DeviceCore } from '../../native/binding.ts';
import type { Attachment } from '../device/attachment.ts';
import type { MdevFunction } from '../function/mdev-function.ts';
import type { Container } from '../iommu/container.ts';
import type { MigrationMachine } from '../migration/migration-machine.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import type { InstanceSva } from '../sva/instance-sva.ts';

/** @internal What a session is made of. */
export interface HeldInstance {
  readonly attachment: Attachment;
  readonly function: MdevFunction;
  readonly reset: () => void;
  /** Undefined when it cannot be migrated. */
  readonly migration: MigrationMachine | undefined;
  /** Undefined when its type declares none. */
  readonly sva: InstanceSva | undefined;
  /** Its type's id, for messages. */
  readonly type: string;
}

/**
 * The instance of a session, which is out of reach from the end of the hold on. What asks for a part of it throws a {@link VfioError} `ENODEV` then, which
 * names the request.
 */
export class SessionInstance {
  readonly #held: HeldInstance;
  #isRetired = false;

  constructor(held: HeldInstance) {
    this.#held = held;
  }

  /** Whether the session holds it. */
  get active(): boolean {
    return this.#held.attachment.active && !this.#isRetired;
  }

  /** What a request without a name is about. */
  get function(): MdevFunction {
    return this.#held.function;
  }

  /** @throws {@link VfioError} */
  check(request?: string): void {
    const { attachment } = this.#held;
    if (this.active) return;
    throw new VfioError('ENODEV', `${attachment.holder.name} does not hold the instance any more`, request);
  }

  core(request: string): DeviceCore {
    this.check(request);
    return this.#held.function.core;
  }

  /** The address space that it shares with others, if it does. */
  container(request: string): Container | undefined {
    this.check(request);
    return this.#held.attachment.container;
  }

  /** Undefined when it cannot be migrated. */
  migration(request: string): MigrationMachine | undefined {
    this.check(request);
    return this.#held.migration;
  }

  /** Undefined when its type declares none. */
  sva(request: string): InstanceSva | undefined {
    this.check(request);
    return this.#held.sva;
  }

  /** Its type's id, for messages. */
  get type(): string {
    return this.#held.type;
  }

  reset(request: string): void {
    this.check(request);
    this.#held.reset();
  }

  /** The device, if the session holds it; with those that share its address space if it has one. */
  cores(shared: boolean): readonly DeviceCore[] {
    if (!this.active) return [];
    const { attachment, function: mdevFunction } = this.#held;
    return (shared ? attachment.container?.cores : undefined) ?? [mdevFunction.core];
  }

  /** The hold is about to end: nothing is asked of the instance any more. */
  retire(): void {
    this.#isRetired = true;
  }

  /** Ends the hold. Idempotent. */
  detach(): void {
    this.#held.attachment.detach();
  }
}
