import type { Container } from '../iommu/container.ts';

/** Who holds an instance. */
export interface Holder {
  /** For messages: "vfio-user client of /run/mdev/0.sock, pid 4711". */
  readonly name: string;
  /** The instance is to be removed: please let go. Called every 10 s until it does. */
  readonly onRequest?: () => void;
  /** The instance was taken away; the attachment has ended. */
  readonly onRevoked?: (reason: string) => void;
}

/** A client's hold on an instance. There is at most one at a time. */
export interface Attachment extends Disposable {
  readonly holder: Holder;
  /** The address space that its instance shares with others; undefined: one of its own. */
  readonly container: Container | undefined;
  /** When it began. */
  readonly since: Date;
  /** False from `detach` on, and when the instance was taken away. */
  readonly active: boolean;
  /**
   * The client begins to use the instance (`running`).
   * @throws `MdevError` when the life cycle does not allow it.
   */
  start(): void;
  /** Lets go: the client's eventfds and memory are gone, the device keeps its state. Idempotent. */
  detach(): void;
}

/** What an {@link Attachment} does to its instance. */
export interface AttachmentOwner {
  isActive(attachment: Attachment): boolean;
  start(): void;
  detach(): void;
}

/** @internal */
export function createAttachment(holder: Holder, container: Container | undefined, owner: AttachmentOwner): Attachment {
  const ifActive = (action: () => void): void => {
    if (owner.isActive(attachment)) action();
  };
  const detach = (): void => {
    ifActive(() => {
      owner.detach();
    });
  };
  const attachment: Attachment = {
    holder,
    container,
    since: new Date(),
    get active() {
      return owner.isActive(attachment);
    },
    start: () => {
      ifActive(() => {
        owner.start();
      });
    },
    detach,
    [Symbol.dispose]: detach,
  };
  return attachment;
}
