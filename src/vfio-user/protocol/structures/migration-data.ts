import { joined, viewOf, words } from './bytes.ts';

/** The front of MIG_DATA_READ, MIG_DATA_WRITE and the reply to the first: 8 bytes, data behind them. */
export interface MigrationData {
  readonly argsz: number;
  /** Bytes of data that are wanted, or that follow. */
  readonly size: number;
}
export const MIGRATION_DATA_SIZE = 8;

/** Undefined when the body is too short. */
export function decodeMigrationData(body: Uint8Array): MigrationData | undefined {
  if (body.length < MIGRATION_DATA_SIZE) return undefined;
  const view = viewOf(body);
  return { argsz: view.getUint32(0, true), size: view.getUint32(4, true) };
}

/** A request for `size` bytes. */
export function encodeMigrationDataRead(size: number, argsz: number = MIGRATION_DATA_SIZE + size): Uint8Array {
  return words(argsz, size);
}

/** Data, as MIG_DATA_WRITE and the reply to MIG_DATA_READ carry it, with zeros up to `paddedTo` bytes behind it. */
export function encodeMigrationData(data: Uint8Array, paddedTo: number = data.length): Uint8Array {
  const padding = new Uint8Array(Math.max(paddedTo - data.length, 0));
  return joined(words(MIGRATION_DATA_SIZE + data.length, data.length), data, padding);
}
