import type { Handle } from '../spec/world.ts';

/** A part of a stream that the server gave: stream `number`, bytes [from, to). */
export interface StreamPart {
  readonly number: number;
  readonly from: number;
  readonly to: number;
}

/** A message that a client sends, whatever the server makes of it. */
export interface MessageStep {
  readonly kind: 'message';
  readonly client: number;
  readonly command: number;
  readonly flags: number;
  /** What its header says, where that is not what it has. */
  readonly size?: number;
  readonly body: Uint8Array;
  readonly fds: readonly Handle[];
  /** Follows the body. */
  readonly stream?: StreamPart;
  /** Sent in two pieces, the first of so many bytes. */
  readonly cut?: number;
  /** For people. */
  readonly what: string;
}

/** The client answers the oldest of the server's requests but `which`. */
export interface AnswerStep {
  readonly kind: 'answer';
  readonly client: number;
  readonly which: number;
  readonly how: 'right' | 'error' | 'count' | 'address' | 'short' | 'command' | 'stranger' | 'elsewhere';
  /** What a DMA_READ gives. */
  readonly byte: number;
}

/** One step of a sequence. */
export type Step =
  | MessageStep
  | AnswerStep
  | { readonly kind: 'connect' | 'close'; readonly client: number }
  /** What nobody may do with a twin socket. */
  | { readonly kind: 'twin'; readonly client: number; readonly how: 'command' | 'answer' | 'size' | 'fds' | 'hang up' }
  /** The guest makes writes that the client has an eventfd for: `which` of those that it was given. */
  | { readonly kind: 'ring'; readonly client: number; readonly which: number; readonly times: number }
  /** The client signals an eventfd that unmasks INTx. */
  | { readonly kind: 'unmask'; readonly event: number }
  /** Everything has arrived; both sides are compared. */
  | { readonly kind: 'settle' };

function fdText(fd: Handle): string {
  if (fd.kind === 'event') return `eventfd ${fd.index}`;
  if (fd.kind === 'memory') return `memory file ${fd.index}${fd.writable ? '' : ' read-only'}`;
  return 'a pipe';
}

/** A step as a line of a script. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case 'message': {
      const { client, command, flags, size, body, fds, cut, what } = step;
      const hex = Buffer.from(body.subarray(0, 96))
        .toString('hex')
        .replace(/(.{8})(?=.)/g, '$1 ');
      return [
        `client ${client} sends ${what} (command ${command}, flags 0x${flags.toString(16)}`,
        size === undefined ? '' : `, size ${size}`,
        `), body ${body.length}: ${hex}${body.length > 96 ? ' …' : ''}`,
        fds.length === 0 ? '' : `, with ${fds.map(fdText).join(', ')}`,
        cut === undefined ? '' : `, cut after ${cut} bytes`,
      ].join('');
    }
    case 'answer':
      return `client ${step.client} answers request ${step.which} of the server: ${step.how}, byte ${step.byte}`;
    case 'unmask':
      return `the client signals eventfd ${step.event}`;
    case 'twin':
      return `client ${step.client} does on its twin socket what it may not: ${step.how}`;
    case 'ring':
      return `client ${step.client} signals ioeventfd ${step.which} ${step.times} times`;
    case 'settle':
      return 'everything arrives';
    default:
      return `client ${step.client}: ${step.kind}`;
  }
}
