/** How many single-character edits turn `a` into `b`, or `limit + 1` when it takes more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitute = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitute, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? limit + 1;
}

/** Names longer than this get no suggestion. */
const LONGEST = 64;

/**
 * The end of an error message about an unknown name: `; did you mean "dsa0"?` when a known name is close (letter case
 * apart, at most a third of it differs), else the list of what is known.
 */
export function suggest(name: string, known: readonly string[]): string {
  if (known.length === 0) return '; there is none';
  const wanted = name.toLowerCase();
  if (wanted.length <= LONGEST) {
    const limit = Math.max(1, Math.floor(wanted.length / 3));
    const ranked = known
      .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase(), limit) }))
      .sort((left, right) => left.distance - right.distance);
    const best = ranked[0];
    if (best !== undefined && best.distance <= limit) return `; did you mean "${best.candidate}"?`;
  }
  return `; known: ${known.join(', ')}`;
}
