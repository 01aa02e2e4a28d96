import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, createServer, type Server } from 'node:net';

/**
 * Does `work` while nobody else on this machine does any for the same name: not in this process, and in no other.
 *
 * The lock is a socket in Linux's abstract namespace. The kernel gives it up with the process that holds it, so nothing is left behind
 * by one that is killed, and who waits sees the end of its connection.
 *
 * @param name - what the work is for; a path
 */
export async function exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
  const address = `\0mdev-user-test-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  let holder = await take(address);
  while (holder === undefined) {
    await release(address);
    holder = await take(address);
  }
  const waiting = new Set<{ destroy(): void }>();
  holder.on('connection', (socket) => waiting.add(socket.on('error', () => undefined)));
  try {
    return await work();
  } finally {
    holder.close();
    for (const socket of waiting) socket.destroy();
  }
}

/** The lock, or undefined when somebody holds it. */
async function take(address: string): Promise<Server | undefined> {
  const server = createServer();
  try {
    server.listen(address);
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return undefined;
  }
}

/** Resolves when the holder gives the lock up, or has. */
async function release(address: string): Promise<void> {
  const socket = createConnection(address);
  await new Promise((settle) => {
    // Refused or reset: it has been given up.
    socket.on('error', () => undefined).on('close', settle);
    socket.resume();
  });
}
