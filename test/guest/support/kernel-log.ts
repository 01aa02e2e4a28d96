import { readFileSync } from 'node:fs';

/** The least severe level that is looked at: KERN_WARNING. Lower numbers are more severe. */
const WARNING = 4;

/** What belongs to the device under test: its driver, its devices, what uses them, and the bus's own complaints. */
const ABOUT_THE_DEVICE =
  /\b(?:idxd|dsa\d*|wq\d+\.\d+|ENQCMD|dmatest|dma\d+chan\d+|pcieport|uio\w*)\b|\bpci 0000:|\birq \d+: nobody cared|\bDMAR\b|\bAER\b/;

/** What no kernel may say, whoever says it. */
const CRASH =
  /\b(?:BUG|Oops|WARNING|Call Trace|general protection fault|kernel NULL pointer|blocked for more than|soft lockup|self-detected stall|detected stalls)\b/;

/** An entry of an allow list. */
export interface AllowedLine {
  readonly pattern: RegExp;
  readonly reason: string;
}

/** Reads the text of an allow list. Throws, naming the line, when an entry is malformed or gives no reason. */
export function parseAllowList(text: string, name: string): AllowedLine[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const [pattern, reason, ...rest] = line.split(' ## ');
    if (pattern === undefined || reason === undefined || reason.trim() === '' || rest.length > 0) {
      throw new Error(`${name} line ${index + 1}: expected "PATTERN ## REASON", found "${line}"`);
    }
    return [{ pattern: new RegExp(pattern), reason }];
  });
}

/** Lists of test/guest/allow, by name. */
export function readAllowLists(names: readonly string[]): AllowedLine[] {
  return names.flatMap((name) => {
    const file = new URL(`../allow/${name}`, import.meta.url);
    return parseAllowList(readFileSync(file, 'utf8'), `allow/${name}`);
  });
}

/**
 * The lines of a raw kernel log (`dmesg -r`) that must not be there: at warning level or above and about the device,
 * or a sign of a crash, and matched by no entry of the allow lists.
 */
export function unexpectedLines(log: readonly string[], allowed: readonly AllowedLine[]): string[] {
  return log.filter((line) => {
    const match = /^<(\d+)>\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? (.*)$/.exec(line);
    const [, priority, text] = match ?? [];
    // A line without a prefix continues a message; only a crash is worth a second look at it.
    if (priority === undefined || text === undefined) return CRASH.test(line);
    if (allowed.some(({ pattern }) => pattern.test(text))) return false;
    return CRASH.test(text) || ((Number(priority) & 7) <= WARNING && ABOUT_THE_DEVICE.test(text));
  });
}
