/**
 * The assertions about the protocol in the C implementation's own tests, by the letter of their group and number: what any server with a suitable device can be
 * tested for. Groups: N negotiation, R request errors, I device info, Q irq info, G region info, F region io fds, S set irqs, M map, U unmap, P dirty pages, X
 * migration, C PCI capabilities, L regions, H DMA by message.
 */
export const checklist: Readonly<Record<string, readonly number[]>> = {
  N: upTo(17),
  R: upTo(6),
  I: upTo(3),
  Q: upTo(5),
  G: upTo(11),
  F: upTo(12),
  S: upTo(27),
  M: upTo(2),
  U: upTo(11),
  P: upTo(11),
  X: upTo(24).slice(1),
  C: [5, 6, 7, 8, 9, 10, 11, 12, 13],
  E: [5, 6, 7, 8, 9],
  L: [7, 8, 9, 10, 11, 12],
  H: [2, 3, 4, 6],
};

/** Defects of the C implementation that a server can have; of D15, which is about its samples, how a stream may be cut. */
export const defects: readonly number[] = upTo(15);

/** What nothing of ours can be asked for yet, each with what is missing. */
export const notYet: Readonly<Record<string, string>> = {
  H6: 'an engine that polls shadow memory: its ioeventfds carry the value in a shared page, which the specification does not have',
};

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}
