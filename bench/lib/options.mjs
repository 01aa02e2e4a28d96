// The command line.

import { parseArgs } from 'node:util';

/** "15 interleaved rounds or more", and odd, so that the median is one of them. */
const DEFAULT_ROUNDS = 21;

export const HELP = `npm run bench -- [options]

Times register accesses, DMA_MAP and an engine's operations over a vfio-user socket, each beside a floor that is measured in the same run:
F      a C ping-pong over a UNIX socket, one recv of 32 bytes and one send of 36
P      a C reader that takes one 36-byte message per recv from a sender of 32 at a time
memcpy the engine's own buffers, copied in the same order
Servers, clients and engine threads all run on one core. The rounds are interleaved; odd ones run backwards.

  --rounds N    rounds (default ${DEFAULT_ROUNDS})
  --only NAME   only rows whose name starts with NAME, and their floors; may be repeated
  --core N      the core (default: the last one that this process may use)
  --json        print JSON: every round's p50 and minimum in nanoseconds per operation
  --check       exit with code 1 when a target is missed
  --help        this text

p50 is the median over the rounds of each round's p50; minimum is the smallest sample. A bandwidth's ratio is the floor's time over its own.
A target is missed when the ratio of p50 and the ratio of minima both miss it.

Examples:
  npm run bench
  npm run bench -- --only read --rounds 41
  npm run bench -- --only move-64k --only posted --check
  npm run bench -- --json > bench.json
`;

/**
 * @typedef {object} Options
 * @property {number} rounds
 * @property {string[]} only
 * @property {number | undefined} core
 * @property {boolean} json
 * @property {boolean} check
 * @property {boolean} help
 */

/**
 * @param {readonly string[]} args
 * @returns {Options}
 * @throws {Error} Names the option and what it expects.
 */
export function parseOptions(args) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
      only: { type: 'string', multiple: true, default: [] },
      core: { type: 'string' },
      json: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    rounds: integer('--rounds', values.rounds, 1),
    only: values.only,
    core: values.core === undefined ? undefined : integer('--core', values.core, 0),
    json: values.json,
    check: values.check,
    help: values.help,
  };
}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} least
 */
function integer(name, text, least) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new Error(`${name} must be an integer of at least ${least}, not '${text}'`);
  }
  return value;
}
