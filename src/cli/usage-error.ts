/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** What to do next, when it is not to read the command's help. */
  readonly nextStep: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly nextStep?: string } = {}) {
    super(message, options);
    this.nextStep = options.nextStep;
  }
}
