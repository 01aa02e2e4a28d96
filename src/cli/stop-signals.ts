/**
 * Takes SIGTERM and SIGINT from now on.
 *
 * @returns resolves with the first one; a second one ends the process at once, as if nothing had been taken
 */
export function catchStopSignals(): Promise<NodeJS.Signals> {
  const signals = ['SIGTERM', 'SIGINT'] as const;
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      for (const name of signals) process.off(name, stop);
      resolve(signal);
    };
    for (const name of signals) process.on(name, stop);
  });
}
