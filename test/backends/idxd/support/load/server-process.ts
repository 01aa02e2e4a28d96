import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { type EventFd, eventfd, type MemoryFile, memoryFile } from '../../../../../src/native/binding.ts';
import { DeviceFeature } from '../../../../../src/mdev/vfio/features.ts';
import {
  dirtyBitmapBytes,
  encodeDmaLoggingReport,
  encodeDmaLoggingStart,
} from '../../../../../src/mdev/dma/dma-logging-data.ts';
import { VfioIrq } from '../../../../../src/mdev/index.ts';
import { type Client, connect } from '../../../../../src/vfio-user/index.ts';
import { distProgram } from '../../../../cli/support/dist.ts';
import { BASE, type GuestMemory, PAGE } from './guest-memory.ts';

const script = fileURLToPath(new URL('./server.mjs', import.meta.url));

/** A DSA in a process of its own, its client, and a copy of the guest's memory that is this server's alone. */
export class ServerProcess {
  readonly memory: GuestMemory;
  readonly file: MemoryFile;
  readonly bytes: Uint8Array;
  /** One a vector; each server has its own. */
  readonly eventfds: readonly EventFd[];
  readonly #socketPath: string;
  #process: Launched;
  #client: Client;

  private constructor(memory: GuestMemory, socketPath: string, client: Client, vectors: number, launched: Launched) {
    this.memory = memory;
    this.file = memoryFile(memory.size);
    this.bytes = new Uint8Array(this.file.buffer);
    this.eventfds = Array.from({ length: vectors }, () => eventfd());
    this.#socketPath = socketPath;
    this.#client = client;
    this.#process = launched;
  }

  static async start(memory: GuestMemory, socketPath: string): Promise<ServerProcess> {
    const launched = await launch(socketPath);
    const client = await connect({ socketPath });
    const { count } = await client.irqInfo(VfioIrq.msix);
    return new ServerProcess(memory, socketPath, client, count, launched);
  }

  /** Another process takes over; the client stays as it is. Rejects unless both processes find that in order. */
  async replace(): Promise<void> {
    const before = this.#process;
    this.#process = await launch(this.#socketPath);
    const ended = await before.exited;
    if (ended !== 0) throw new Error(`the process that was replaced ended with ${String(ended)}`);
  }

  get client(): Client {
    return this.#client;
  }

  /** The guest's memory, and an eventfd for each vector. */
  async attach(): Promise<void> {
    const { client, memory } = this;
    // Two maps of the file, so that what spans them is in two pieces.
    const cut = BigInt(Math.floor(memory.size / 2 / PAGE) * PAGE);
    const base = BigInt(BASE);
    await Promise.all([
      client.dmaMap({ iova: base, size: cut, file: this.file }),
      client.dmaMap({ iova: base + cut, size: BigInt(memory.size) - cut, file: this.file, offset: cut }),
      client.dmaMap({ iova: base + BigInt(memory.size), memory: memory.message }),
      client.setIrqs({ index: VfioIrq.msix, eventfds: this.eventfds.map(({ fd }) => fd) }),
    ]);
  }

  /** The client leaves, and comes again. */
  async reconnect(): Promise<void> {
    await this.#client.close();
    for (let attempt = 0; ; attempt++) {
      try {
        this.#client = await connect({ socketPath: this.#socketPath });
        return;
      } catch (error) {
        // The server has not noticed yet that the other one has left.
        if (attempt === 1000) throw error;
      }
    }
  }

  async startLogging(): Promise<void> {
    const ranges = [{ iova: BigInt(BASE), size: BigInt(this.memory.size) }];
    const data = encodeDmaLoggingStart({ pageSize: BigInt(PAGE), ranges });
    await this.#client.feature({ index: DeviceFeature.dmaLoggingStart, set: true, data });
  }

  async stopLogging(): Promise<void> {
    await this.#client.feature({ index: DeviceFeature.dmaLoggingStop, set: true });
  }

  /** Pages that the device wrote since the last report. */
  async dirtyPages(): Promise<readonly number[]> {
    const range = { iova: BigInt(BASE), size: BigInt(this.memory.size), pageSize: BigInt(PAGE) };
    const question = encodeDmaLoggingReport(range);
    const answer = await this.#client.feature({
      index: DeviceFeature.dmaLoggingReport,
      get: true,
      data: question,
      replySize: question.length + Number(dirtyBitmapBytes(range.size, range.pageSize)),
    });
    const pages: number[] = [];
    for (const [at, byte] of answer.subarray(question.length).entries()) {
      for (let bit = 0; bit < 8; bit++) if (((byte >> bit) & 1) === 1) pages.push(8 * at + bit);
    }
    return pages;
  }

  /** Ends the process; its exit code, or the signal that ended it. */
  async end(): Promise<unknown> {
    await this.#client.close();
    for (const one of this.eventfds) one.close();
    this.file.close();
    this.#process.child.stdin.end();
    return await this.#process.exited;
  }
}

interface Launched {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** Exit code or signal. */
  readonly exited: Promise<unknown>;
}

/** Starts a server, which takes over from the one that is there, and waits until it is ready. */
async function launch(socketPath: string): Promise<Launched> {
  await distProgram('cli/main.js');
  const child = spawn(process.execPath, [script, socketPath], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) => code ?? signal);
  await Promise.race([once(child.stdout, 'data'), exited]);
  return { child, exited };
}
