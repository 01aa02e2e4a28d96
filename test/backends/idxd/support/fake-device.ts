import { CommandProcessor } from '../../../../src/backends/idxd/commands.ts';
import type { DsaDescription } from '../../../../src/backends/idxd/description.ts';
import { NO_PASIDS, type PasidState } from '../../../../src/backends/idxd/pasid-state.ts';
import type { Queues } from '../../../../src/backends/idxd/queues.ts';
import { restoreLocks } from '../../../../src/backends/idxd/region.ts';
import { type DsaRegisterBlock, dsaRegisters } from '../../../../src/backends/idxd/registers.ts';
import { RegisterRegion } from '../../../../src/emulation/index.ts';

type CommandRequest = Parameters<Queues['command']>[0];
type EnableRequest = Parameters<Queues['enable']>[1];

/**
 * The registers and commands of a DSA without engines: what they are asked for is recorded, and work that would be in
 * flight ends when the test says so.
 */
export class FakeDevice {
  readonly region: RegisterRegion<DsaRegisterBlock>;
  readonly commands: CommandProcessor;
  /** Vectors that were raised. */
  readonly vectors: number[] = [];
  readonly errors: { readonly code: number }[] = [];
  readonly enabled: { readonly index: number; readonly request: EnableRequest }[] = [];
  readonly requests: CommandRequest[] = [];
  readonly eventLogs: Parameters<Queues['openEventLog']>[0][] = [];
  readonly assignments: (readonly (readonly number[])[])[] = [];
  resets = 0;
  busMaster = true;
  pasids: PasidState = NO_PASIDS;
  /** Queues that have descriptors in flight. */
  readonly busy = new Set<number>();
  #pending: CommandRequest | undefined;

  constructor(description: DsaDescription) {
    const block = dsaRegisters(description);
    this.region = new RegisterRegion(block, {
      hooks: {
        CMD: {
          afterWrite: (command) => this.commands.execute(command),
        },
      },
    });
    this.commands = new CommandProcessor({
      device: description,
      region: this.region,
      queues: {
        enable: (index, request) => {
          this.enabled.push({ index, request });
        },
        command: (request) => {
          if (this.#pending !== undefined) throw new Error('a command is pending');
          this.requests.push(request);
          if (request.queues.some((queue) => this.busy.has(queue))) {
            this.#pending = request;
            return false;
          }
          this.#apply(request);
          return true;
        },
        reset: () => {
          this.resets += 1;
          this.#pending = undefined;
          this.busy.clear();
        },
        recordError: (error) => {
          this.errors.push(error);
        },
        setThreshold: () => undefined,
        openEventLog: (config) => {
          this.eventLogs.push(config);
        },
        close: () => undefined,
      },
      groups: {
        assign: (engines) => {
          this.assignments.push(engines);
        },
        group: (index) => ({ index }) as never,
      },
      busMaster: () => this.busMaster,
      pasids: () => this.pasids,
      trigger: (vector) => {
        this.vectors.push(vector);
      },
    });
    restoreLocks(this.region);
  }

  /** Everything in flight ends; a pending command with it. */
  finishWork(): void {
    this.busy.clear();
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) this.#apply(pending);
  }

  /** The guest's side: writes CMD and returns CMDSTATUS. */
  command(code: number, operand = 0, interrupt = false): number {
    this.write32(0xa0, ((code << 20) | operand | (interrupt ? 0x8000_0000 : 0)) >>> 0);
    return this.read32(0xa8);
  }

  read32(offset: number): number {
    const bytes = new Uint8Array(4);
    this.region.read(offset, bytes);
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  read64(offset: number): bigint {
    return BigInt(this.read32(offset)) | (BigInt(this.read32(offset + 4)) << 32n);
  }

  write32(offset: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
    this.region.write(offset, bytes);
  }

  write64(offset: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.region.write(offset, bytes);
  }

  #apply({ effects }: CommandRequest): void {
    const words = new Int32Array(this.region.memory);
    for (const { offset, operation, value } of effects.registers) {
      if (operation === 'store') Atomics.store(words, offset / 4, value | 0);
      else if (operation === 'or') Atomics.or(words, offset / 4, value | 0);
      else Atomics.and(words, offset / 4, value | 0);
    }
    this.vectors.push(...effects.vectors);
  }
}
