import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import type { Connection } from '../spec/connection.ts';
import { BELLS } from '../spec/layout.ts';
import { Server } from '../spec/server.ts';
import { Command, Flag, joined, longs, message, readHeader, words } from '../spec/wire.ts';
import { messageText, replyDifference, worldDifference } from './compare.ts';
import type { AnswerStep, MessageStep, Step, StreamPart } from './steps.ts';
import { eventCount, eventually, Peer, type Vmm } from './vmm.ts';

const PROBE_ID = 0xfffe;
const TURNS = 12;

/** The two sides of one client. */
interface Client {
  readonly peer: Peer;
  /** What the server asks comes here, where both have agreed so. */
  twin: Peer | undefined;
  readonly connection: Connection;
  /** Bytes that are still to be sent. */
  unsent: Uint8Array[];
  ids: number;
  /** Replies and requests that were compared. */
  compared: number;
  comparedRequests: number;
  /** It knows what it has agreed on: before that, nothing that it sends may carry file descriptors. */
  agreed: boolean;
}

/** Plays a sequence against the served device and against the model. */
export class Play {
  readonly server: Server;
  readonly #vmm: Vmm;
  readonly #clients: (Client | undefined)[] = [];

  constructor(vmm: Vmm) {
    this.#vmm = vmm;
    this.server = new Server(vmm.lengths);
  }

  /** The connection of a client that is there, in the model. */
  connection(client: number): Connection | undefined {
    return this.#clients[client]?.connection;
  }

  /** @returns how the two sides differ; undefined when they do not. */
  async step(step: Step): Promise<string | undefined> {
    switch (step.kind) {
      case 'connect':
        if (this.#clients[step.client] === undefined) this.#connect(step.client);
        return undefined;
      case 'close':
        return this.#close(step.client);
      case 'message':
        return this.#send(step);
      case 'answer':
        return this.#answer(step);
      case 'twin':
        return this.#misuseTwin(step.client, step.how);
      case 'ring':
        return this.#ring(step);
      case 'unmask':
        return this.#unmask(step.event);
      case 'settle':
        return this.#settle();
    }
  }

  /** Ends the sequence: everything is compared, and everybody leaves. */
  async end(): Promise<string | undefined> {
    let difference = await this.#settle();
    for (const index of this.#clients.keys()) difference = (await this.#close(index)) ?? difference;
    return difference ?? worldDifference(this.server, this.#vmm);
  }

  /** Leaves without comparing. */
  async abandon(): Promise<void> {
    for (const client of this.#clients) {
      client?.peer.close();
      client?.twin?.close();
    }
    await eventually(() => !this.#vmm.held);
  }

  #connect(index: number): void {
    this.#clients[index] = {
      peer: this.#vmm.connect(),
      twin: undefined,
      connection: this.server.connect(),
      unsent: [],
      ids: 1,
      compared: 0,
      comparedRequests: 0,
      agreed: false,
    };
  }

  async #close(index: number): Promise<string | undefined> {
    const client = this.#clients[index];
    if (client === undefined) return undefined;
    const difference = await this.#settle();
    client.peer.close();
    client.twin?.close();
    client.connection.hangUp();
    this.#clients[index] = undefined;
    const others = this.#clients.some((other) => other?.connection.negotiated === true && !other.connection.ended);
    if (!(await eventually(() => this.#vmm.held === others))) return 'the server has not noticed that its client left';
    return difference;
  }

  async #send(step: MessageStep): Promise<string | undefined> {
    const client = this.#clients[step.client];
    if (client === undefined) return undefined;
    const { connection } = client;
    // File descriptors come with the message that begins where they do; only so it is certain whose they are. Behind the end of
    // a connection there is no such message.
    const fds = connection.aligned && !connection.ended && step.size === undefined ? step.fds : [];
    const { command, flags, size } = step;
    const { dirty, maps } = this.server.device.memory;
    // Where everything is tracked and nothing is mapped, a page may be reported later or not: more than was written is no mistake.
    if (step.what.startsWith('DMA:') && dirty.tracksAll && maps.length === 0) return undefined;
    // So is one that was on its way there when the log began.
    const writing = connection.channel.owed.some((piece) => piece.write && !piece.cancelled);
    if (step.what.startsWith('DEVICE_FEATURE start logging') && writing) return undefined;
    if (step.stream !== undefined) {
      const difference = await this.#settle();
      if (difference !== undefined) return difference;
      // What the client does not have, it cannot send; and what a server makes of a state that is invented is its choice.
      if (!this.server.device.migration.complete.includes(step.stream.number)) return undefined;
    }
    const body = joined(step.body, this.#streamPart(step.stream));
    const carries = command === Command.dmaMap || command === Command.setIrqs;
    if (fds.length > 0 && (!carries || (flags & Flag.typeMask) !== 0 || !client.agreed)) {
      // Else they would be taken for those of a message before.
      const difference = await this.#settle();
      if (difference !== undefined) return difference;
    }
    const bytes = message(
      { id: client.ids++ & 0x7fff, command, flags, errno: 0, ...(size !== undefined && { size }) },
      body,
    );
    const asked = connection.channel.sent.length;
    connection.receive(bytes, fds);
    if (fds.length > 0) {
      this.#flush(client);
      client.peer.send(
        bytes,
        fds.map((fd) => this.#vmm.descriptor(fd)),
      );
    } else if (step.cut !== undefined && step.cut < bytes.length) {
      client.unsent.push(bytes.subarray(0, step.cut));
      this.#flush(client);
      await turn();
      client.unsent.push(bytes.subarray(step.cut));
    } else {
      client.unsent.push(bytes);
    }
    // The server asks when it has served what it has read: before anything else arrives that could call the question off.
    if (connection.channel.sent.length > asked) return this.#settle();
    // So is a connection that is ended by the other socket, at no certain place in this one.
    return command === Command.version && connection.ended ? this.#settle() : undefined;
  }

  #streamPart(part: StreamPart | undefined): Uint8Array {
    if (part === undefined) return new Uint8Array(0);
    const bytes = new Uint8Array(part.to - part.from);
    bytes.set(this.server.device.migration.streams[part.number]?.bytes.subarray(part.from, part.to) ?? []);
    return bytes;
  }

  #flush(client: Client): void {
    if (client.unsent.length > 0) client.peer.send(joined(...client.unsent));
    client.unsent = [];
  }

  async #answer(step: AnswerStep): Promise<string | undefined> {
    const client = this.#clients[step.client];
    if (client === undefined || client.connection.ended || !client.connection.aligned) return undefined;
    const settled = await this.#settle();
    if (settled !== undefined) return settled;
    const { owed } = client.connection.channel;
    const piece = owed[step.which % Math.max(owed.length, 1)];
    if (piece === undefined) return undefined;
    const { how } = step;
    const id = client.connection.requestIds[piece.number] ?? 0;
    const own = piece.write ? Command.dmaWrite : Command.dmaRead;
    const other = piece.write ? Command.dmaRead : Command.dmaWrite;
    const front = longs(piece.address + (how === 'address' ? 1n : 0n), BigInt(piece.count + (how === 'count' ? 1 : 0)));
    const data = piece.write || how === 'short' ? new Uint8Array(0) : new Uint8Array(piece.count).fill(step.byte);
    const body = how === 'error' ? new Uint8Array(0) : joined(front, data).subarray(how === 'short' ? 1 : 0);
    const header = {
      id: how === 'stranger' ? id ^ 0x4000 : id,
      command: how === 'command' ? other : own,
      flags: Flag.reply | (how === 'error' ? Flag.error : 0),
      errno: how === 'error' ? 14 : 0,
    };
    const bytes = message(header, body);
    if (client.twin === undefined || how === 'elsewhere') {
      client.connection.receive(bytes);
      client.peer.send(bytes);
    } else {
      client.connection.receiveTwin(bytes);
      client.twin.send(bytes);
    }
    return this.#settle();
  }

  async #misuseTwin(index: number, how: (Step & { readonly kind: 'twin' })['how']): Promise<string | undefined> {
    const client = this.#clients[index];
    const settled = await this.#settle();
    if (settled !== undefined || client?.twin === undefined || client.connection.ended) return settled;
    const { connection, twin } = client;
    if (how === 'hang up') {
      connection.receiveTwin(undefined);
      twin.close();
      return this.#settle();
    }
    const command = how === 'command' ? Command.deviceInfo : Command.dmaRead;
    const flags = how === 'command' ? 0 : Flag.reply;
    const size = how === 'size' ? { size: 15 } : {};
    const bytes = message({ id: 0x7ff0, command, flags, errno: 0, ...size }, words(16, 0, 0, 0));
    const fds = how === 'fds' ? [this.#vmm.descriptor({ kind: 'event', index: 0 })] : [];
    connection.receiveTwin(bytes, fds.length);
    twin.send(bytes, fds);
    return this.#settle();
  }

  async #ring(step: Step & { readonly kind: 'ring' }): Promise<string | undefined> {
    const client = this.#clients[step.client];
    const settled = await this.#settle();
    if (settled !== undefined || client === undefined || client.connection.ended) return settled;
    // Every one that it was given, old or new, stands for its write.
    const given = client.peer.replies.flatMap(({ bytes, fds }) =>
      readHeader(bytes).command === Command.regionIoFds ? fds.map((fd, n) => [fd, BELLS[n]] as const) : [],
    );
    const [fd, bell] = given[step.which % Math.max(given.length, 1)] ?? [];
    if (fd === undefined || bell === undefined) return undefined;
    // It waits until the device runs, and when in the stream of messages it is heard then nobody says: see test/vfio-user/migration/ringing.test.ts.
    if (this.server.device.paused) return undefined;
    for (let n = 0; n < step.times; ++n) this.server.device.ring(bell);
    writeSync(fd, longs(BigInt(step.times)));
    if (!(await eventually(() => eventCount(fd) === 0))) return 'nobody has read an ioeventfd';
    return this.#settle();
  }

  async #unmask(event: number): Promise<string | undefined> {
    const settled = await this.#settle();
    if (settled !== undefined) return settled;
    const watched = this.server.device.irqs.line.unmaskEvent === event;
    this.server.unmask(event);
    this.#vmm.events[event]?.signal();
    if (watched) {
      if (!(await eventually(() => this.#vmm.counter(event) === 0))) return `nobody has read eventfd ${event}`;
    } else {
      this.server.world.signal(event);
    }
    return this.#settle();
  }

  /** Sends what is unsent, lets everything arrive, and compares. */
  async #settle(): Promise<string | undefined> {
    for (const [index, client] of this.#clients.entries()) {
      if (client === undefined) continue;
      const difference = await this.#settleClient(client);
      if (difference !== undefined) return `client ${index}: ${difference}`;
    }
    const { transfers } = this.server.device.dma;
    await eventually(() =>
      transfers.every(({ errno }, number) => errno === undefined || this.#vmm.deeds.outcomes.has(number)),
    );
    return worldDifference(this.server, this.#vmm);
  }

  async #settleClient(client: Client): Promise<string | undefined> {
    const { connection, peer } = client;
    const probed = connection.negotiated && connection.aligned && !connection.ended;
    if (probed) {
      const probe = message({ id: PROBE_ID, command: Command.deviceInfo, flags: 0, errno: 0 }, words(16, 0, 0, 0));
      connection.receive(probe);
      client.unsent.push(probe);
    }
    this.#flush(client);
    const { sent } = connection;
    const asked = connection.channel.sent;
    await eventually(() => peer.ended || (peer.replies.length >= sent.length && !connection.ended));
    const replied = this.#compareReplies(client);
    if (replied !== undefined) return replied;
    const { requests } = this.#asked(client);
    await eventually(() => peer.ended || requests.length >= asked.length);
    if (connection.ended) await eventually(() => client.twin?.ended ?? true);
    if (!probed) for (let turns = 0; turns < TURNS && !peer.ended; ++turns) await turn();
    connection.requestIds = requests.map(({ bytes }) => readHeader(bytes).id);
    client.agreed = connection.negotiated;
    return this.#compareReplies(client) ?? this.#compareRequests(client) ?? this.#compareEnd(client);
  }

  /** Where the server asks. */
  #asked(client: Client): Peer {
    return client.twin ?? client.peer;
  }

  #compareReplies(client: Client): string | undefined {
    const { sent } = client.connection;
    const { replies } = client.peer;
    for (; client.compared < sent.length; ++client.compared) {
      const expected = sent[client.compared];
      const actual = replies[client.compared];
      if (expected === undefined) break;
      if (actual === undefined) return `no reply; expected ${messageText(expected.bytes)}`;
      const difference = replyDifference(expected, actual, this.server);
      if (difference !== undefined) return difference;
      if (expected.others > 0 && readHeader(expected.bytes).command === Command.version) {
        const [fd = -1] = actual.fds.splice(0);
        client.twin = new Peer(fd);
      }
    }
    const more = replies[sent.length];
    return more === undefined ? undefined : `a reply too many: ${messageText(more.bytes)}`;
  }

  #compareRequests(client: Client): string | undefined {
    const { sent } = client.connection.channel;
    const { requests } = this.#asked(client);
    for (; client.comparedRequests < sent.length; ++client.comparedRequests) {
      const expected = sent[client.comparedRequests];
      const actual = requests[client.comparedRequests];
      if (expected === undefined) break;
      if (actual === undefined) return `no request; expected ${messageText(expected)}`;
      // Ids are the server's choice.
      if (Buffer.compare(expected.subarray(2), actual.bytes.subarray(2)) !== 0) {
        return `expected the request ${messageText(expected)}\n     got ${messageText(actual.bytes)}`;
      }
      if (actual.fds.length > 0) return 'a request came with file descriptors';
    }
    const more = requests[sent.length] ?? (client.twin === undefined ? undefined : client.peer.requests[0]);
    if (more !== undefined) return `a request too many: ${messageText(more.bytes)}`;
    const [stray] = client.twin?.replies ?? [];
    return stray === undefined ? undefined : `a reply on the twin socket: ${messageText(stray.bytes)}`;
  }

  #compareEnd({ connection, peer, twin }: Client): string | undefined {
    if (connection.ended === peer.ended && connection.ended === (twin?.ended ?? connection.ended)) return undefined;
    return connection.ended ? 'the connection goes on' : 'the server has ended the connection';
  }
}
