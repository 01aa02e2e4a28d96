import { type ChildProcess, spawn } from 'node:child_process';

/** What a program did. */
export interface Outcome {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  /** Standard output and error, as they came. */
  readonly output: string;
}

const running = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of running) child.kill();
});

/** Runs a command to its end, or to that of this process. Rejects when it cannot be started. */
export async function execute([command = '', ...args]: readonly string[]): Promise<Outcome> {
  return await new Promise((settle, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    const pieces: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => pieces.push(piece));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      running.delete(child);
      const ending = signal === null ? '' : `\nended by ${signal}\n`;
      settle({ code, output: Buffer.concat(pieces).toString('utf8') + ending });
    });
  });
}
