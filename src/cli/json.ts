/** JSON with bigints as strings in hexadecimal (`"0x1f"`), for people indented by two spaces. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_key, member: unknown) => (typeof member === 'bigint' ? `0x${member.toString(16)}` : member),
    2,
  );
  return `${text}\n`;
}
