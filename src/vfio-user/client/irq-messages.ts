import type { CompleteSetIrqs } from '../../mdev/vfio/vfio-requests.ts';
import { IrqSetFlag } from '../protocol/constants.ts';
import { encodeSetIrqs } from '../protocol/structures/index.ts';

/** One SET_IRQS message. */
export interface SetIrqsMessage {
  readonly body: Uint8Array;
  readonly fds: readonly number[];
}

/**
 * A request in messages. Each carries at most `maxFds` eventfds, for vectors side by side; -1, for which the protocol has no place among them, becomes
 * a message without any, which takes the eventfds of its vectors away.
 */
export function irqMessages(request: CompleteSetIrqs, maxFds: number): SetIrqsMessage[] {
  const { action, booleans, count, data, eventfds, index, start } = request;
  const flags = IrqSetFlag[action] | IrqSetFlag[data];
  if (eventfds.length === 0) return [{ body: encodeSetIrqs({ flags, index, start, count }, booleans), fds: [] }];
  const messages: SetIrqsMessage[] = [];
  for (let first = 0; first < eventfds.length;) {
    const isAbsent = eventfds[first] === -1;
    let end = first + 1;
    while (end < eventfds.length && (eventfds[end] === -1) === isAbsent && (isAbsent || end - first < maxFds)) ++end;
    const body = encodeSetIrqs({ flags, index, start: start + first, count: end - first });
    messages.push({ body, fds: isAbsent ? [] : eventfds.slice(first, end) });
    first = end;
  }
  return messages;
}
