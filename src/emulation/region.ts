import type { RegisterBlock } from './block.ts';
import { compile, type CompiledTable } from './compile.ts';
import type { Entry } from './entry.ts';
import { HookBinding } from './hook-binding.ts';
import { hooksByPath } from './hook-paths.ts';
import type { Hooks } from './hooks.ts';
import type { Locks, LockStates, RegisterFile } from './infer.ts';
import { Interpreter } from './interpreter.ts';
import type { Layout } from './layout.ts';
import { lockView } from './lock-view.ts';
import { registerFile } from './register-file.ts';
import type { ResetKind } from './reset-kind.ts';
import { applySnapshot, checkSnapshot, takeSnapshot } from './snapshot.ts';
import { RegisterStorage } from './storage.ts';
import { STAGE_SIZE } from './table-format.ts';

/** What a region may be given. */
export interface RegionOptions<B extends RegisterBlock> {
  /** Behaviour, by register name. */
  readonly hooks?: Hooks<B>;
  /** Memory to use, at least the table's `memorySize` bytes; the region writes its reset values to it. Own memory when absent. */
  readonly memory?: ArrayBuffer;
  /**
   * Take the memory's contents as they are, of another region of this block: nothing is written, no reset value, no lock.
   * For a region whose hooks are known only after its views were needed.
   */
  readonly adopt?: boolean;
  /**
   * Whether an access goes on after one of its hooks: asked before the value that `beforeWrite` has seen is stored, and before the next register that the
   * access spans. False when the hook has ended what is accessed; what is left of a read is not filled then. Always true when absent.
   */
  readonly goesOn?: () => boolean;
}

/** What a region refused to its guest, since it was made. */
export interface RegionCounters {
  /** Register writes dropped because their width is not allowed. */
  readonly dropped: number;
  /** Register writes of which locks left nothing. */
  readonly frozen: number;
  /** Path of the register that the last dropped write was for. */
  readonly lastDropped: string | undefined;
  /** Path of the register that the last frozen write was for. */
  readonly lastFrozen: string | undefined;
}

/**
 * One region of one instance: storage, the guest's side (`read`, `write`: rules and hooks) and the device's side
 * (`registers`, `locks`: neither). It is the reference for the native dispatcher, and runs the accesses that have hooks.
 *
 * Belongs to one thread; only `shared` registers and locks may be changed by others, atomically.
 */
export class RegisterRegion<B extends RegisterBlock = RegisterBlock> {
  readonly block: B;
  readonly table: CompiledTable<B>;
  /** The device's side, by register name. */
  readonly registers: RegisterFile<B>;
  /** The block's locks: true while held. Locks of array elements are at `registers.NAME[i].locks`. */
  readonly locks: LockStates<Locks<B>>;
  /** The memory: registers at their offsets, lock words at `table.lockOffset`, staging slots at `table.stageOffset`. */
  readonly memory: ArrayBuffer;
  readonly counters: RegionCounters;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #storage: RegisterStorage;
  readonly #interpreter: Interpreter;
  readonly #layout: Layout;
  readonly #entries: readonly Entry[];

  /**
   * @param source - a block, or its table if it was compiled before; every hook must be one that the table traps
   * @throws {@link DeclarationError} if hooks name something unknown, TypeError for one that the table does not trap, RangeError if the memory is too small
   */
  constructor(source: B | CompiledTable<B>, options: RegionOptions<B> = {}) {
    const hooks = options.hooks ?? {};
    this.table = 'bytes' in source ? source : compile(source, hooks);
    this.block = this.table.block;
    const { layout, entries, index } = this.table['~interpreter'];
    const { memorySize } = this.table;
    this.memory = options.memory ?? new ArrayBuffer(memorySize);
    if (this.memory.byteLength < memorySize)
      throw new RangeError(`RegisterRegion: ${this.memory.byteLength} bytes of memory, ${memorySize} needed`);
    this.#layout = layout;
    this.#entries = entries;
    this.#bytes = new Uint8Array(this.memory, 0, memorySize);
    this.#storage = new RegisterStorage(this.memory, memorySize);
    const { size } = this.block;
    const goesOn = options.goesOn ?? ((): boolean => true);
    const interpreter = new Interpreter(this.#storage, entries, index, size, bind(this.table, hooks), goesOn);
    this.#interpreter = interpreter;
    this.registers = registerFile(this.block, this.#storage, layout, entries) as RegisterFile<B>;
    this.locks = lockView(this.#storage, layout.lockOffset / 4, layout.locks, '') as LockStates<Locks<B>>;
    this.counters = {
      get dropped() {
        return interpreter.dropped;
      },
      get frozen() {
        return interpreter.frozen;
      },
      get lastDropped() {
        return interpreter.lastDropped?.laidOut.path;
      },
      get lastFrozen() {
        return interpreter.lastFrozen?.laidOut.path;
      },
    };
    if (options.adopt === true) return;
    for (const entry of entries) this.#storage.store(entry, entry.resetLow, entry.resetHigh);
    this.releaseLocks();
    this.dropStaged();
  }

  /**
   * A guest read at a byte offset of the region. Bytes of no register, also those behind the region, read 0.
   *
   * @param offset - bytes
   * @param into - filled register by register, hooks between
   * @throws RangeError for an offset that is no integer from 0 to 2^53 - 1; what a hook throws
   */
  read(offset: number, into: Uint8Array): void {
    checkOffset(offset);
    this.#interpreter.read(offset, into);
  }

  /**
   * A guest write at a byte offset of the region. Bytes of no register, also those behind the region, are ignored.
   *
   * @param from - must stay as it is until the call returns: registers behind one with hooks take their bytes later
   * @throws as {@link read}
   */
  write(offset: number, from: Uint8Array): void {
    checkOffset(offset);
    this.#interpreter.write(offset, from);
  }

  /**
   * Gives every register and field that does not survive this kind its reset value, drops staged bytes and releases all locks. No
   * hook runs; the device takes the locks again that its state after the reset asks for.
   */
  reset(kind: ResetKind): void {
    for (const entry of this.#entries) {
      const { low, high } = entry.resets[kind];
      if ((low & high) === -1) this.#storage.store(entry, entry.resetLow, entry.resetHigh);
      else if ((low | high) !== 0) this.#storage.assign(entry, low, high, entry.resetLow, entry.resetHigh);
    }
    this.releaseLocks();
    this.dropStaged();
  }

  /** Whether the block declares locks. */
  get hasLocks(): boolean {
    return this.#layout.locks.length > 0 || this.#layout.elementLocks.size > 0;
  }

  /** Releases all locks, those of array elements included. */
  releaseLocks(): void {
    const first = this.#layout.lockOffset / 4;
    for (let word = first; word < first + this.#layout.lockWords; word++) Atomics.store(this.#storage.words, word, 0);
  }

  /** Drops the bytes that wait for the last one of their register. */
  dropStaged(): void {
    this.#bytes.fill(0, this.#layout.stageOffset, this.#layout.stageOffset + STAGE_SIZE * this.#layout.stages);
  }

  /** Registers, locks and staged bytes, for {@link restore}. Engines must not run meanwhile. */
  snapshot(): Uint8Array {
    return takeSnapshot(this.#layout, this.#bytes);
  }

  /**
   * Looks whether a snapshot is one of a device like this: {@link restore} would take it, and what is constant and read-only has the same values.
   *
   * @throws Error that names what differs
   */
  checkSnapshot(bytes: Uint8Array): void {
    checkSnapshot(this.#layout, this.#bytes, bytes);
  }

  /**
   * Takes over a snapshot of a region of an equal block. No hook runs.
   *
   * @throws Error if it is damaged or of another block; the region is unchanged then
   */
  restore(bytes: Uint8Array): void {
    applySnapshot(this.#layout, this.#bytes, bytes);
  }
}

/** Hooks by position of the entry; elements of an array share theirs. */
function bind(table: CompiledTable, hooks: object): readonly (HookBinding | undefined)[] {
  const byPath = new Map<string, HookBinding>();
  const hooked = hooksByPath(table.block, hooks);
  return table['~interpreter'].entries.map((entry) => {
    const { hookPath, register } = entry.laidOut;
    const found = hooked.get(hookPath);
    if (found === undefined) return undefined;
    const writes = found.beforeWrite !== undefined || found.afterWrite !== undefined;
    if ((found.beforeRead !== undefined && !entry.trapRead) || (writes && !entry.trapWrite))
      throw new TypeError(`hooks: ${hookPath} has hooks that its table was not compiled for`);
    let binding = byPath.get(hookPath);
    if (binding === undefined) byPath.set(hookPath, (binding = new HookBinding(register, found)));
    return binding;
  });
}

function checkOffset(offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset ${offset} is not a byte offset`);
}
