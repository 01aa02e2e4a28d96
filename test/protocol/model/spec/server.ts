import { Connection, type Clients } from './connection.ts';
import { Device } from './device.ts';
import type { StreamLengths } from './migration.ts';
import { World } from './world.ts';

/** A server with its device, as the specification has them. */
export class Server {
  readonly world = new World();
  readonly device: Device;
  readonly #clients: Clients = { holder: undefined };

  constructor(lengths: StreamLengths) {
    this.device = new Device(this.world, lengths);
  }

  connect(): Connection {
    return new Connection(this.device, this.#clients);
  }

  /** The client signals an eventfd that unmasks INTx. */
  unmask(event: number): void {
    const { line } = this.device.irqs;
    if (line.unmaskEvent !== event) return;
    line.masked = false;
    line.deliver();
  }
}
