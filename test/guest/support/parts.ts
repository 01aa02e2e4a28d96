/** A stretch of the guest's output that a line `@@ name` began. */
export interface Part {
  readonly name: string;
  readonly lines: readonly string[];
}

/** Cuts the guest's output into its parts, in order; anything before the first one is dropped. */
export function parseParts(output: string): Part[] {
  const parts: { name: string; lines: string[] }[] = [];
  for (const line of output.replaceAll('\r', '').split('\n')) {
    if (line.startsWith('@@ ')) parts.push({ name: line.slice(3), lines: [] });
    else parts.at(-1)?.lines.push(line);
  }
  for (const { lines } of parts) {
    while (lines.at(-1) === '') lines.pop();
  }
  return parts;
}
