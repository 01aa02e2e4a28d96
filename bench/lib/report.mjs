// From the rounds' numbers to the table and to JSON.

import Table from 'cli-table3';

/**
 * @typedef {import('./measures.mjs').Row} Row
 * @typedef {{ p50: number, min: number, samples: number }} Summary One series of one round, in nanoseconds per operation.
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {string} title
 * @property {number} p50 Median over the rounds of each round's p50, in nanoseconds per operation.
 * @property {number} minimum The smallest sample of all rounds.
 * @property {number} spread Largest over smallest p50 of the rounds.
 * @property {string | null} floor Name of the floor's row.
 * @property {{ p50: number, minimum: number } | null} ratio To the floor: times, or bandwidths for a row that has `bytes`.
 * @property {number | null} target
 * @property {'hit' | 'miss' | null} verdict A miss needs both ratios beyond the target.
 * @property {number | null} bytes
 * @property {readonly Summary[]} rounds
 */

/** Rounds that differ more than this make a floor worthless. */
const WIDE_SPREAD = 1.5;

/**
 * @param {readonly number[]} values At least one.
 * @returns {number}
 */
function median(values) {
  const sorted = values.toSorted((left, right) => left - right);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? NaN) + upper) / 2;
}

/**
 * @param {readonly Row[]} rows Every row's floor is among them.
 * @param {ReadonlyMap<string, readonly Record<string, Summary>[]>} rounds By measure: the series of each round.
 * @returns {Result[]}
 */
export function summarise(rows, rounds) {
  /** @type {Map<string, { p50: number, minimum: number }>} */
  const values = new Map();
  return rows.map((row) => {
    const summaries = (rounds.get(row.measure) ?? []).map((series) => {
      const summary = series[row.series];
      if (summary === undefined) throw new Error(`measure '${row.measure}' gave no series '${row.series}'`);
      return summary;
    });
    const medians = summaries.map((summary) => summary.p50);
    const value = { p50: median(medians), minimum: Math.min(...summaries.map((summary) => summary.min)) };
    values.set(row.name, value);
    const floor = row.floor === undefined ? undefined : values.get(row.floor);
    const ratio = floor === undefined ? null : ratioOf(value, floor, row.bytes !== undefined);
    return {
      name: row.name,
      title: row.title,
      ...value,
      spread: Math.max(...medians) / Math.min(...medians),
      floor: row.floor ?? null,
      ratio,
      target: row.target ?? null,
      verdict:
        ratio === null || row.target === undefined ? null : verdictOf(ratio, row.target, row.bytes !== undefined),
      bytes: row.bytes ?? null,
      rounds: summaries,
    };
  });
}

/**
 * @param {{ p50: number, minimum: number }} value
 * @param {{ p50: number, minimum: number }} floor
 * @param {boolean} bandwidth
 */
function ratioOf(value, floor, bandwidth) {
  const ratio = { p50: value.p50 / floor.p50, minimum: value.minimum / floor.minimum };
  return bandwidth ? { p50: 1 / ratio.p50, minimum: 1 / ratio.minimum } : ratio;
}

/**
 * @param {{ p50: number, minimum: number }} ratio
 * @param {number} target
 * @param {boolean} bandwidth
 * @returns {'hit' | 'miss'}
 */
function verdictOf(ratio, target, bandwidth) {
  const beyond = (/** @type {number} */ one) => (bandwidth ? one < target : one > target);
  return beyond(ratio.p50) && beyond(ratio.minimum) ? 'miss' : 'hit';
}

/**
 * Floors whose rounds lie too far apart to compare anything with them.
 *
 * @param {readonly Result[]} results
 * @returns {string[]} One warning each.
 */
export function spreadWarnings(results) {
  return results
    .filter((result) => result.floor === null && result.spread > WIDE_SPREAD)
    .map(
      (result) =>
        `the rounds of ${result.name} lie ${result.spread.toFixed(2)} apart (slowest over fastest): the machine was not quiet`,
    );
}

/**
 * @param {number} ns
 * @returns {string}
 */
function time(ns) {
  return ns < 1000 ? `${ns.toFixed(0)} ns` : `${(ns / 1000).toFixed(2)} µs`;
}

/**
 * @param {readonly Result[]} results
 * @param {readonly Row[]} rows For the floors' symbols.
 * @returns {string}
 */
export function formatTable(results, rows) {
  const symbols = new Map(rows.map((row) => [row.name, row.symbol ?? '']));
  const table = new Table({
    head: ['row', '', 'p50', 'minimum', 'GB/s', 'p50 ratio', 'min ratio', 'target', ''],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'left', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const result of results) {
    const symbol = result.floor === null ? '' : (symbols.get(result.floor) ?? '');
    table.push([
      result.name,
      result.title,
      time(result.p50),
      time(result.minimum),
      result.bytes === null ? '' : (result.bytes / result.p50).toFixed(2),
      result.ratio === null ? '' : `${result.ratio.p50.toFixed(2)} ${symbol}`,
      result.ratio === null ? '' : result.ratio.minimum.toFixed(2),
      result.target === null ? '' : `${result.bytes === null ? '≤' : '≥'} ${result.target.toFixed(2)} ${symbol}`,
      result.verdict ?? '',
    ]);
  }
  return table.toString();
}
