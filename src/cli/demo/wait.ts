/** How long the demo waits for any one thing, in milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * The promise's result.
 *
 * @param what - what is waited for, for the message: "interrupt 1 after Fill"
 * @throws Error when it takes longer than 10 s
 */
export async function within<T>(promise: Promise<T>, what: string, patience = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${patience / 1000} s in vain for ${what}`));
    }, patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
