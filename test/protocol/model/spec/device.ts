import { DmaEngine } from './dma-engine.ts';
import { barRegisters, configRegisters, portRegisters } from './function-registers.ts';
import { GuestMemory } from './guest-memory.ts';
import { Interrupts, Irq, type IrqState } from './interrupts.ts';
import {
  type BELLS,
  DMA_LIMIT,
  Fail,
  LOG_CONTENT,
  MSI_VECTORS,
  MSIX_VECTORS,
  Region,
  regionFacts,
  ROM_CONTENT,
  TABLE_CONTENT,
} from './layout.ts';
import { type Migrated, Migration, type StreamLengths } from './migration.ts';
import { RegisterBank } from './register-bank.ts';
import { Errno, longs } from './wire.ts';
import type { World } from './world.ts';

const { EINVAL, EIO } = Errno;
const RAISED = [Irq.msix, Irq.msi, Irq.error, Irq.request] as const;
const FUNCTION_LEVEL_RESET = 0x8000n;

/** What a migration carries. */
interface DeviceState {
  readonly config: readonly bigint[];
  readonly bar: readonly bigint[];
  readonly ports: readonly bigint[];
  readonly memories: readonly (readonly [number, Uint8Array])[];
  readonly irqs: IrqState;
  readonly reads: number;
  readonly frozen: boolean;
}

/** The device that is served, without its clients. */
export class Device implements Migrated<DeviceState> {
  readonly irqs: Interrupts;
  readonly memory: GuestMemory;
  readonly dma: DmaEngine;
  readonly migration: Migration;
  /** Resets so far. */
  resets = 0;
  /** Cut off after an error, until it is reset: all ones are read, writes and DMA are dropped. */
  frozen = false;
  /** A client holds it. */
  #held = false;
  #reads = 0;
  #paused = false;
  readonly #config: RegisterBank<keyof typeof configRegisters>;
  readonly #bar: RegisterBank<keyof typeof barRegisters>;
  readonly #ports = new RegisterBank(portRegisters, {});
  /** Regions of plain memory. */
  readonly #memories = new Map<number, Uint8Array>();

  constructor(world: World, lengths: StreamLengths) {
    this.irqs = new Interrupts(world, MSI_VECTORS, MSIX_VECTORS);
    this.memory = new GuestMemory(world);
    this.dma = new DmaEngine(this.memory);
    this.migration = new Migration(this, lengths);
    this.#config = new RegisterBank(configRegisters, {
      STATUS: { read: (value) => value | (this.irqs.line.asserted ? 8n : 0n) },
      MSI_CONTROL: { written: (next) => clampMessages(next) },
      MSI_PENDING: { read: () => BigInt(this.irqs.table(Irq.msi).pending) },
      PMCSR: { written: (next, previous) => this.#setPower(next, previous) },
      DEVCTL: { written: (next) => this.#control(next) },
    });
    this.#bar = new RegisterBank(barRegisters, {
      HOOKED: {
        read: () => {
          this.#bar.set('HOOKED', BigInt(++this.#reads));
          return BigInt(this.#reads);
        },
        written: (next) => {
          this.#bar.set('CAUSE', this.#bar.get('CAUSE') | (next & 0xffffn));
          return next;
        },
      },
      RAISE: {
        written: (next) => {
          this.#raise(Number(next));
          return next;
        },
      },
      LINE: {
        written: (next) => {
          this.irqs.line.asserted = next === 1n;
          this.irqs.line.deliver();
          return next;
        },
      },
      DMA_GO: {
        written: (next) => {
          this.#transfer(Number(next));
          return next;
        },
      },
      FAIL: {
        written: (next) => {
          this.#fail(Number(next));
          return next;
        },
      },
      PENDING: { read: () => BigInt(this.irqs.table(Irq.msix).pending) },
    });
    this.#fill();
  }

  get inD0(): boolean {
    return this.#config.bits('PMCSR', 1, 0) === 0;
  }

  /** Contents of a region of plain memory. */
  contents(region: number): Uint8Array | undefined {
    return this.#memories.get(region);
  }

  /** 0, or the errno of an access in that direction (READ 1, WRITE 2). */
  check(region: number, offset: bigint, count: number, right: number): number {
    const facts = regionFacts[region];
    if (facts === undefined || (facts.rights & right) === 0) return EINVAL;
    return offset + BigInt(count) > BigInt(facts.size) ? EINVAL : 0;
  }

  /** EIO while COMMAND or the power state keeps the region from answering. */
  decodes(region: number): number {
    const space = regionFacts[region]?.space;
    if (space === undefined) return 0;
    return this.inD0 && this.#config.bits('COMMAND', 1, 0) & (space === 'io' ? 1 : 2) ? 0 : EIO;
  }

  read(region: number, offset: number, count: number): Uint8Array {
    if (this.frozen) return new Uint8Array(count).fill(0xff);
    if (region === Region.config) return this.#config.read(offset, count);
    if (region === Region.bar0) return this.#bar.read(offset, count);
    if (region === Region.bar4) return this.#ports.read(offset, count);
    return this.#memory(region).slice(offset, offset + count);
  }

  write(region: number, offset: number, data: Uint8Array): void {
    if (this.frozen) return;
    if (region === Region.config) {
      this.#config.write(offset, data);
      this.#follow();
    } else if (region === Region.bar0) {
      this.#bar.write(offset, data, () => !this.frozen);
    } else if (region === Region.bar4) {
      this.#ports.write(offset, data);
    } else {
      this.#memory(region).set(data, offset);
    }
  }

  reset(cold = false): void {
    this.frozen = false;
    this.irqs.reset();
    this.#config.reset(cold);
    this.#bar.reset(cold);
    this.#ports.reset(cold);
    if (cold) this.#fill();
    this.#reads = 0;
    this.resets += 1;
    this.#follow();
    // It runs after a reset, whatever it was.
    this.migration.reset();
  }

  /** As vfio-pci resets a function that is opened, if it is of no use otherwise. */
  clientCame(): void {
    if (this.frozen) this.reset();
    this.#held = true;
  }

  /** The guest's write to BAR 0 that an eventfd stands for. */
  ring({ offset, size, value }: (typeof BELLS)[number]): void {
    if (this.decodes(Region.bar0) === 0) this.write(Region.bar0, offset, longs(value ?? 0n).subarray(0, size));
  }

  /** What the client gave is gone; what the guest programmed stays. */
  clientGone(): void {
    this.#held = false;
    this.dma.cancelAll();
    this.dma.channel = undefined;
    this.memory.clear();
    this.memory.dirty.stop();
    this.irqs.clientGone();
    this.migration.reset();
  }

  /** Whether it neither reaches memory nor raises interrupts, and hears no ioeventfd. */
  get paused(): boolean {
    return this.#paused;
  }

  /** It neither reaches memory nor raises interrupts. The guest is served. */
  pause(): void {
    this.#paused = true;
    this.irqs.hold(true);
    this.#follow();
  }

  resume(): void {
    this.#paused = false;
    this.irqs.hold(false);
    this.#follow();
  }

  save(): DeviceState {
    return {
      config: this.#config.save(),
      bar: this.#bar.save(),
      ports: this.#ports.save(),
      memories: [...this.#memories].map(([region, bytes]) => [region, bytes.slice()]),
      irqs: this.irqs.save(),
      reads: this.#reads,
      frozen: this.frozen,
    };
  }

  restore(state: DeviceState): void {
    this.#config.restore(state.config);
    this.#bar.restore(state.bar);
    this.#ports.restore(state.ports);
    for (const [region, bytes] of state.memories) this.#memories.get(region)?.set(bytes);
    this.irqs.restore(state.irqs);
    this.#reads = state.reads;
    this.frozen = state.frozen;
    this.#follow();
  }

  #memory(region: number): Uint8Array {
    const memory = this.#memories.get(region);
    if (memory === undefined) throw new Error(`region ${region} has no memory`);
    return memory;
  }

  #fill(): void {
    for (const [region, content, rest] of [
      [Region.bar1, TABLE_CONTENT, 0],
      [Region.bar2, new Uint8Array(0), 0],
      [Region.rom, ROM_CONTENT, 0xff],
      [Region.log, LOG_CONTENT, 0],
      [Region.mailbox, new Uint8Array(0), 0],
    ] as const) {
      const bytes = new Uint8Array(regionFacts[region]?.size ?? 0).fill(rest);
      bytes.set(content);
      this.#memories.set(region, bytes);
    }
  }

  /** What config space says holds from now on. */
  #follow(): void {
    const config = this.#config;
    const msi = config.bits('MSI_CONTROL', 0, 0) === 1;
    const msix = config.bits('MSIX_CONTROL', 15, 15) === 1;
    const wasReachable = this.memory.reachable;
    const busMaster = config.bits('COMMAND', 2, 2) === 1 && this.inD0;
    this.memory.reachable = busMaster && !this.#paused && !this.frozen;
    if (wasReachable && !this.memory.reachable) this.dma.cancelAll();
    this.irqs.line.disabled = config.bits('COMMAND', 10, 10) === 1 || msi || msix || !this.inD0;
    this.irqs.line.deliver();
    this.irqs.granted = msi ? 1 << config.bits('MSI_CONTROL', 6, 4) : undefined;
    this.irqs.table(Irq.msi).mask(config.bits('MSI_MASK', 3, 0));
    this.irqs.table(Irq.msix).maskAll(config.bits('MSIX_CONTROL', 14, 14) === 1);
    this.irqs.silence(!busMaster);
  }

  /** There is neither D1 nor D2; the way from D3hot to D0 is a reset. */
  #setPower(next: bigint, previous: bigint): bigint {
    const [to, from] = [next & 3n, previous & 3n];
    if (to === 1n || to === 2n) return (next & ~3n) | from;
    if (from !== 3n || to !== 0n) return next;
    this.reset();
    return this.#config.get('PMCSR');
  }

  #control(next: bigint): bigint {
    if ((next & FUNCTION_LEVEL_RESET) !== 0n) this.reset();
    return this.#config.get('DEVCTL') & ~FUNCTION_LEVEL_RESET;
  }

  #raise(value: number): void {
    const index = RAISED[(value >>> 28) & 3] ?? Irq.msix;
    this.irqs.raise(index, (value & 0xff) % this.irqs.count(index));
  }

  #fail(value: number): void {
    if (value === Fail.correctable) this.#config.set('DEVSTS', this.#config.get('DEVSTS') | 1n);
    if (value !== Fail.nonFatal && value !== Fail.fatal && value !== Fail.freeze) return;
    this.frozen = true;
    this.migration.freeze();
    this.#follow();
    // The platform wants to hear of errors.
    if (value !== Fail.freeze && this.#held) this.irqs.raise(Irq.error, 0);
  }

  #transfer(value: number): void {
    const length = Math.min(Number(this.#bar.get('DMA_LENGTH')), DMA_LIMIT);
    const bytes = new Uint8Array(length).fill((value >>> 8) & 0xff);
    this.dma.start((value & 1) === 1, this.#bar.get('DMA_ADDRESS'), bytes);
  }
}

/** A guest cannot be given more MSI messages than the function asks for, which is 4. */
function clampMessages(control: bigint): bigint {
  const given = (control >> 4n) & 7n;
  return given > 2n ? (control & ~0x70n) | 0x20n : control;
}
