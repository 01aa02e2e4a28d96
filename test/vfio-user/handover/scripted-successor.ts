import { expect } from 'vitest';

import { HANDOVER_VERSION, HandoverKind } from '../../../src/vfio-user/handover/messages.ts';
import { encodeMessage } from '../../../src/vfio-user/protocol/structures/index.ts';
import { RawPeer } from '../support/raw-peer.ts';

const { accept, chunk, end, hello, offer, ready, taken } = HandoverKind;

/** A successor that says what a test wants. */
export class Successor {
  readonly peer: RawPeer;
  #fds = 0;

  constructor(fd: number) {
    this.peer = new RawPeer(fd);
  }

  say(kind: number, body: object | Uint8Array = new Uint8Array(0)): void {
    const bytes = body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body));
    this.peer.send(encodeMessage({ id: 0, command: kind }, bytes));
  }

  /** The kind of what comes next. */
  async hears(): Promise<number | undefined> {
    const message = await this.peer.next();
    this.#fds += message?.fds?.length ?? 0;
    return message?.header.command;
  }

  confirm(fds = this.#fds): void {
    const body = new Uint8Array(4);
    new DataView(body.buffer).setUint32(0, fds, true);
    this.say(taken, body);
  }

  end(): void {
    for (const fd of this.peer.takeFds()) this.peer.channel.closeFd(fd);
    this.peer.close();
  }
}

/** What a successor does until it dies. */
export type Part = (successor: Successor) => Promise<void>;
export const greets: Part = async (successor) => {
  successor.say(hello, { versions: [HANDOVER_VERSION] });
  expect(await successor.hears()).toBe(offer);
};
export const accepts: Part = async (successor) => {
  await greets(successor);
  successor.say(accept);
  expect(await successor.hears()).toBe(chunk);
};
export const takes: Part = async (successor) => {
  await accepts(successor);
  successor.confirm();
  expect(await successor.hears()).toBe(end);
};

export const isReady: Part = async (successor) => {
  await takes(successor);
  successor.say(ready);
};
