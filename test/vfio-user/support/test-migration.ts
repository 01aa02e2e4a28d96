import {
  type Migration,
  MigrationFlag,
  migrationPath,
  MigrationState,
  type Settle,
  VfioError,
} from '../../../src/mdev/index.ts';

/** A device that can be migrated: its state is `data`, and it keeps what it was told. */
export class TestMigration implements Migration {
  readonly flags: number;
  state: number = MigrationState.running;
  stopCopySize = 0;
  /** What `read` gives. */
  data = new Uint8Array(0);
  /** What `write` was given. */
  readonly written: number[] = [];
  /** Every state that was passed. */
  readonly steps: number[] = [];
  /** Before each step and transfer; may throw, and may wait. */
  before: () => void | Promise<void> = () => undefined;

  constructor(flags: number = MigrationFlag.stopCopy | MigrationFlag.preCopy) {
    this.flags = flags;
  }

  async setState(target: number, settle: Settle = () => true): Promise<void> {
    const path = migrationPath(this.flags, this.state, target);
    if (path === undefined) throw errno('EINVAL');
    // A few turns at once.
    for (let turns = 8; turns > 0 && !settle(); turns--);
    for (const state of path) {
      await this.before();
      this.steps.push(state);
      this.state = state;
    }
  }

  async read(size: number): Promise<Uint8Array> {
    await this.before();
    const data = this.data.subarray(0, size);
    this.data = this.data.subarray(size);
    return data;
  }

  async write(data: Uint8Array): Promise<void> {
    await this.before();
    this.written.push(...data);
  }
}

/** An error that is an answer. */
export function errno(code: string): VfioError {
  return new VfioError(code, code);
}
