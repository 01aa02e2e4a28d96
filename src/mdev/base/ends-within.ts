/**
 * Waits for work to end, but not for ever. The work itself goes on; what it throws later is nobody's.
 * @param expired Called when it has not ended in time, before the work can end: who acts on its end knows whether somebody waits for it.
 * @returns Whether it ended in time; rejects when the work rejects in time.
 */
export async function endsWithin(work: Promise<unknown>, milliseconds: number, expired?: () => void): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => {
      expired?.();
      resolve(false);
    }, milliseconds);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
