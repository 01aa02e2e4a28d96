import { type Answer, DONE, type Secret } from './answer.ts';
import type { Device } from './device.ts';
import { deviceFeature } from './device-feature.ts';
import { DmaChannel } from './dma-channel.ts';
import { dmaMap, dmaUnmap } from './dma-messages.ts';
import { deviceInfo, irqInfo, regionInfo, regionIoFds } from './info-messages.ts';
import { migrationRead, migrationWrite } from './migration-messages.ts';
import { regionRead, regionWrite, regionWriteMulti } from './region-messages.ts';
import { setIrqs } from './set-irqs.ts';
import { type Agreement, negotiate } from './version.ts';
import { Command, Errno, Flag, HEADER, type Header, joined, MAX_MESSAGE, message, readHeader } from './wire.ts';
import type { Handle } from './world.ts';

const { EBUSY, EINVAL } = Errno;
/** The most file descriptors in a message: as many as Linux delivers. */
const SERVER_FDS = 253;

/** What a client has that has not negotiated. */
const NOTHING = { maxFds: 0, maxTransfer: 0, padded: false, twin: false, writeMultiple: false };

/** A message of the server's, and the regions whose files come with it. */
export interface Sent {
  readonly bytes: Uint8Array;
  readonly files: readonly number[];
  /** File descriptors that are none of regions. */
  readonly others: number;
  readonly secret: Secret | undefined;
}

/** What a client is to the others. */
export interface Clients {
  /** The client that holds the device. */
  holder: Connection | undefined;
}

/** One client's connection, from its first byte to its last. */
export class Connection {
  /** Replies in their order. */
  readonly sent: Sent[] = [];
  readonly channel: DmaChannel;
  /** The server has ended it. */
  ended = false;
  /** Ids of the server's requests, by their number, as far as they were seen. */
  requestIds: readonly number[] = [];
  #agreement: Agreement | undefined;
  #held: Uint8Array = new Uint8Array(0);
  readonly #device: Device;
  readonly #clients: Clients;

  constructor(device: Device, clients: Clients) {
    this.#device = device;
    this.channel = new DmaChannel(device.memory.dirty);
    this.#clients = clients;
  }

  get negotiated(): boolean {
    return this.#agreement !== undefined;
  }

  /** What the server asks goes over a socket of its own. */
  get twin(): boolean {
    return this.#agreement?.twin === true;
  }

  /** Whether all that came are whole messages. */
  get aligned(): boolean {
    return this.#held.length === 0;
  }

  /** Bytes as they arrive. File descriptors come with the first message in them, which begins with them. */
  receive(bytes: Uint8Array, fds: readonly Handle[] = []): void {
    this.#held = joined(this.#held, bytes);
    let own = fds;
    while (!this.ended && this.#held.length >= HEADER) {
      const header = readHeader(this.#held);
      const bad = header.size < HEADER || header.size > MAX_MESSAGE;
      const length = bad ? HEADER : header.size;
      if (this.#held.length < length) break;
      const body = this.#held.slice(HEADER, length);
      this.#held = this.#held.slice(length);
      this.#serve(header, body, own);
      own = [];
    }
    this.channel.fill();
  }

  /** A message on the twin socket, which is for answers: anything else ends the connection, and so does its end. */
  receiveTwin(bytes: Uint8Array | undefined, fds = 0): void {
    if (this.ended) return;
    if (bytes === undefined || fds > 0 || !this.#takesOnTwin(bytes)) this.#end();
    this.channel.fill();
  }

  /** The client hung up. */
  hangUp(): void {
    this.ended = true;
    if (this.#clients.holder !== this) return;
    this.#clients.holder = undefined;
    this.#device.clientGone();
  }

  #serve(header: Header, body: Uint8Array, fds: readonly Handle[]): void {
    const { command, flags, size } = header;
    const isCommand = (flags & Flag.typeMask) === 0;
    if (!this.negotiated) {
      if (size < HEADER || size > MAX_MESSAGE || fds.length > 0 || !isCommand || command !== Command.version) {
        this.#reply(header, EINVAL);
        this.#end();
      } else {
        this.#version(header, body);
      }
      return;
    }
    if (size < HEADER || size > MAX_MESSAGE) {
      this.#reply(header, EINVAL);
      if (size > MAX_MESSAGE) this.#end();
      return;
    }
    if (isDmaAnswer(header)) {
      if (this.twin || fds.length > 0 || !this.#answered(header, body)) this.#end();
      return;
    }
    const carries = command === Command.dmaMap || command === Command.setIrqs;
    if (!isCommand || fds.length > (carries ? SERVER_FDS : 0)) {
      this.#reply(header, EINVAL);
      return;
    }
    this.#reply(header, this.#answer(command, body, fds));
  }

  #takesOnTwin(bytes: Uint8Array): boolean {
    const header = readHeader(bytes);
    return header.size === bytes.length && isDmaAnswer(header) && this.#answered(header, bytes.slice(HEADER));
  }

  #answered(header: Header, body: Uint8Array): boolean {
    return this.channel.answer(this.requestIds.lastIndexOf(header.id), header, body);
  }

  #version(header: Header, body: Uint8Array): void {
    const agreement = this.#clients.holder === undefined ? negotiate(body) : undefined;
    if (agreement === undefined) {
      this.#reply(header, this.#clients.holder !== undefined && negotiate(body) !== undefined ? EBUSY : EINVAL);
      this.#end();
      return;
    }
    this.#agreement = agreement;
    this.#clients.holder = this;
    this.channel.maxTransfer = agreement.maxTransfer;
    this.#device.memory.maxMaps = agreement.maxMaps;
    this.#device.memory.pageSize = agreement.pageSize;
    this.#device.dma.channel = this.channel;
    this.#device.clientCame();
    this.#reply(header, { body: agreement.reply, others: agreement.twin ? 1 : 0 });
    // The client's end of the twin socket is lost with the reply that it does not want.
    if (agreement.twin && (header.flags & Flag.noReply) !== 0) this.#end();
  }

  #answer(command: number, body: Uint8Array, fds: readonly Handle[]): Answer {
    const device = this.#device;
    const { maxFds, maxTransfer, padded, writeMultiple } = this.#agreement ?? NOTHING;
    switch (command) {
      case Command.dmaMap:
        return dmaMap(device, body, fds);
      case Command.dmaUnmap:
        return dmaUnmap(device, body);
      case Command.deviceInfo:
        return deviceInfo(body);
      case Command.regionInfo:
        return regionInfo(body, maxFds);
      case Command.regionIoFds:
        return regionIoFds(body, maxFds);
      case Command.irqInfo:
        return irqInfo(body);
      case Command.setIrqs:
        return setIrqs(device.irqs, body, fds) || DONE;
      case Command.regionRead:
        return regionRead(device, body);
      case Command.regionWrite:
        return regionWrite(device, body);
      case Command.regionWriteMulti:
        return writeMultiple ? regionWriteMulti(device, body) : EINVAL;
      case Command.deviceReset:
        device.reset();
        return DONE;
      case Command.migrationRead:
        return migrationRead(device, body, maxTransfer, padded);
      case Command.migrationWrite:
        return migrationWrite(device, body, maxTransfer);
      case Command.deviceFeature:
        return deviceFeature(device, body);
      default:
        return EINVAL;
    }
  }

  #reply({ id, command, flags }: Header, answer: Answer): void {
    if ((flags & Flag.noReply) !== 0) return;
    const refused = typeof answer === 'number';
    const front = { id, command, flags: Flag.reply | (refused ? Flag.error : 0), errno: refused ? answer : 0 };
    this.sent.push({
      bytes: message(front, refused ? new Uint8Array(0) : answer.body),
      files: refused ? [] : (answer.files ?? []),
      others: refused ? 0 : (answer.others ?? 0),
      secret: refused ? undefined : answer.secret,
    });
  }

  /** The server hangs up, having said what it had to say. */
  #end(): void {
    this.hangUp();
  }
}

function isDmaAnswer({ command, flags }: Header): boolean {
  return (flags & Flag.typeMask) === Flag.reply && (command === Command.dmaRead || command === Command.dmaWrite);
}
