import { type Interrupts, Irq, IRQS } from './interrupts.ts';
import { Errno, word } from './wire.ts';
import type { Handle } from './world.ts';

const { EINVAL, ENOTTY } = Errno;
const NONE = 1;
const BOOL = 2;
const EVENTFD = 4;
const MASK = 8;
const UNMASK = 16;
const TRIGGER = 32;
const FRONT = 20;

interface Request {
  readonly data: number;
  readonly action: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly booleans: Uint8Array;
  readonly fds: readonly Handle[];
}

/** DEVICE_SET_IRQS, as vfio-pci does it but for what decision 7 says. */
export function setIrqs(irqs: Interrupts, body: Uint8Array, fds: readonly Handle[]): number {
  if (body.length < FRONT || word(body, 0) < FRONT) return EINVAL;
  const flags = word(body, 1);
  const data = flags & 7;
  const action = flags & 0x38;
  if (flags >>> 6 !== 0 || ![NONE, BOOL, EVENTFD].includes(data) || ![MASK, UNMASK, TRIGGER].includes(action)) {
    return EINVAL;
  }
  const [index, start, count] = [word(body, 2), word(body, 3), word(body, 4)];
  if (index >= IRQS) return EINVAL;
  if (count === 0) {
    if (data !== NONE || action !== TRIGGER || start !== 0 || fds.length > 0) return EINVAL;
    irqs.disable(index);
    return 0;
  }
  if (start + count > irqs.count(index)) return EINVAL;
  const booleans = body.subarray(FRONT);
  if (data === BOOL && booleans.length !== count) return EINVAL;
  if (fds.length > 0 && (data !== EVENTFD || fds.length !== count)) return EINVAL;
  const request = { data, action, index, start, count, booleans, fds };
  if (index === Irq.intx) return setLine(irqs, request);
  return index <= Irq.msix ? setMessages(irqs, request) : setEvent(irqs, request);
}

/** The numbers of eventfds; undefined if one is something else. */
function events(fds: readonly Handle[]): readonly number[] | undefined {
  const numbers = fds.flatMap((fd) => (fd.kind === 'event' ? [fd.index] : []));
  return numbers.length === fds.length ? numbers : undefined;
}

function chosen({ data, booleans }: Request, n: number): boolean {
  return data !== BOOL || booleans[n] !== 0;
}

function setLine(irqs: Interrupts, request: Request): number {
  const { line } = irqs;
  const on = irqs.enabled === Irq.intx;
  const { data, action, fds } = request;
  const given = events(fds);
  if (data === EVENTFD && action === TRIGGER) {
    if (irqs.enabled !== undefined && !on) return EINVAL;
    if (given === undefined) return EINVAL;
    if (given.length === 0) {
      irqs.disable(Irq.intx);
      return 0;
    }
    line.event = given[0];
    irqs.enabled = Irq.intx;
    irqs.enabledVectors = 1;
    line.deliver();
    return 0;
  }
  if (!on) return EINVAL;
  if (data === EVENTFD) {
    if (action === MASK) return ENOTTY;
    if (given === undefined) return EINVAL;
    line.unmaskEvent = given[0];
    return 0;
  }
  if (!chosen(request, 0)) return 0;
  if (action === TRIGGER) {
    line.loopback();
  } else {
    line.masked = action === MASK;
    if (!line.masked) line.deliver();
  }
  return 0;
}

function setMessages(irqs: Interrupts, request: Request): number {
  const { data, action, index, start, count, fds } = request;
  if (action !== TRIGGER) return ENOTTY;
  const on = irqs.enabled === index;
  if (irqs.enabled !== undefined && !on) return EINVAL;
  const table = irqs.table(index);
  if (data === EVENTFD) {
    // MSI cannot grow.
    if (on && index === Irq.msi && start + count > irqs.enabledVectors) return EINVAL;
    const given = events(fds);
    if (given === undefined) return EINVAL;
    for (let n = 0; n < count; ++n) table.assign(start + n, given[n]);
    irqs.enabled = index;
    irqs.enabledVectors = Math.max(irqs.enabledVectors, start + count);
    return 0;
  }
  if (!on) return EINVAL;
  for (let n = 0; n < count; ++n) if (chosen(request, n)) table.loopback(start + n);
  return 0;
}

function setEvent(irqs: Interrupts, request: Request): number {
  const { data, action, index, fds } = request;
  if (action !== TRIGGER) return EINVAL;
  const table = irqs.table(index);
  if (data === EVENTFD) {
    const given = events(fds);
    if (given === undefined) return EINVAL;
    table.assign(0, given[0]);
    return 0;
  }
  if (data === NONE && table.vectors[0]?.event === undefined) return EINVAL;
  if (chosen(request, 0)) table.loopback(0);
  return 0;
}
