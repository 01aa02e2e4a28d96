/** How `mdev` ends: 0 done; 1 failed; 2 the command line is wrong: an unknown option, type or attribute, or a value that cannot be. */
export const ExitCode = { success: 0, failure: 1, usage: 2 } as const;
/** One of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
