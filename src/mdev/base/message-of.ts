/** What an error says; of anything else that was thrown, its text. Never throws itself: a vendor's code may throw what has no text. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  try {
    return String(error);
  } catch {
    return 'something without a text was thrown';
  }
}
