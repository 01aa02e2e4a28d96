/** Longest line of text from elsewhere; a client or guest may have chosen a part of it. */
const LONGEST = 500;

/** Text as one line without control characters, cut after 500 characters. */
export function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- what must not reach a terminal or split a log line
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}…`;
}

/** Writes one line for the operator to standard error. */
export function tell(message: string): void {
  process.stderr.write(`mdev: ${oneLine(message)}\n`);
}

/** Writes a result to standard output. */
export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/**
 * Lets the process outlive the readers of its output (`mdev types | head`, a terminal that was closed). Other errors of standard output, a full
 * disk for one, become exit code 1.
 */
export function outliveReaders(): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    tell(`standard output: ${error.message}`);
    process.exitCode = 1;
  });
}
