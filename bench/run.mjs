#!/usr/bin/env node
// npm run bench: starts the servers, runs the rounds, prints the table. See --help.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { busyWarning, describeMachine, pinning } from './lib/machine.mjs';
import { select } from './lib/measures.mjs';
import { HELP, parseOptions } from './lib/options.mjs';
import { interrupt, runClient, startServer } from './lib/processes.mjs';
import { buildPrograms } from './lib/programs.mjs';
import { formatTable, spreadWarnings, summarise } from './lib/report.mjs';

/** @param {string} text */
function note(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * The command that starts each server.
 *
 * @param {ReturnType<typeof buildPrograms>} programs
 * @param {(name: string) => string} socketPath
 * @returns {Record<string, string[]>}
 */
function serverCommands(programs, socketPath) {
  const devices = join(import.meta.dirname, 'serve.mjs');
  return {
    echo: [programs['floor-echo'], socketPath('echo')],
    reader: [programs['floor-reader'], socketPath('reader')],
    registers: [process.execPath, devices, 'registers', socketPath('registers')],
    idxd: [process.execPath, devices, 'idxd', socketPath('idxd')],
  };
}

/**
 * Runs every measure once per round; the order turns round from one round to the next, so that a drift hits both sides of a ratio.
 *
 * @param {readonly import('./lib/measures.mjs').Measure[]} measures
 * @param {number} rounds
 * @param {(measure: import('./lib/measures.mjs').Measure) => string[]} command
 */
async function runRounds(measures, rounds, command) {
  /** @type {Map<string, Awaited<ReturnType<typeof runClient>>[]>} */
  const results = new Map(measures.map((measure) => [measure.name, []]));
  for (let round = 0; round < rounds; round++) {
    if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1} of ${rounds} `);
    for (const measure of round % 2 === 0 ? measures : measures.toReversed()) {
      results.get(measure.name)?.push(await runClient(command(measure)));
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return results;
}

/**
 * @param {import('./lib/options.mjs').Options} options
 * @param {ReturnType<typeof select>} selection
 */
async function main(options, { rows, measures }) {
  if (!existsSync(join(import.meta.dirname, '../dist/mdev/index.js'))) {
    throw new Error('the package is not built; build it with: npm run build');
  }
  const programs = buildPrograms();
  const { core, prefix, warning } = pinning(options.core);
  const warnings = [warning, busyWarning()].filter((one) => one !== null);
  for (const one of warnings) note(`warning: ${one}`);

  const folder = mkdtempSync(join(tmpdir(), 'mdev-bench-'));
  const socketPath = (/** @type {string} */ name) => join(folder, name);
  const commands = serverCommands(programs, socketPath);
  const servers = [];
  try {
    for (const name of new Set(measures.map((measure) => measure.server))) {
      if (name === null) continue;
      servers.push(await startServer(name, [...prefix, ...(commands[name] ?? [])]));
    }
    const rounds = await runRounds(measures, options.rounds, (measure) => [
      ...prefix,
      ...(measure.server === null
        ? [programs[measure.program ?? 'maps'], ...measure.client]
        : [programs.client, ...measure.client, '--socket', socketPath(measure.server)]),
    ]);
    const results = summarise(rows, rounds);
    const noisy = spreadWarnings(results);
    for (const one of noisy) note(`warning: ${one}`);
    const machine = { ...describeMachine(), core };
    if (options.json) {
      const report = { machine, rounds: options.rounds, warnings: [...warnings, ...noisy], rows: results };
      process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    } else {
      const place = core === null ? 'nothing pinned' : `everything on core ${core}`;
      process.stdout.write(`${formatTable(results, rows)}\n`);
      process.stdout.write(`${options.rounds} rounds, ${place}, ${machine.processor}, Node ${machine.node}\n`);
    }
    return options.check && results.some((result) => result.verdict === 'miss') ? 1 : 0;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

let options;
let selection;
try {
  options = parseOptions(process.argv.slice(2));
  selection = select(options.only);
} catch (error) {
  note(`bench: ${error instanceof Error ? error.message : String(error)} (see --help)`);
  process.exit(2);
}
if (options.help) {
  process.stdout.write(HELP);
} else {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, interrupt);
  }
  try {
    process.exitCode = await main(options, selection);
  } catch (error) {
    note(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
