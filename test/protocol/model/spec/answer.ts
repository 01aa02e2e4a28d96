/** A part of a stream of a migration: what the reply has there, behind its first 8 bytes, is the server's business. */
export interface Secret {
  readonly stream: number;
  readonly from: number;
  readonly length: number;
}

/** What a message is answered with: a body, and files of regions that go with it; or an errno. */
export type Answer =
  | number
  | {
      readonly body: Uint8Array;
      /** Regions whose file comes along. */
      readonly files?: readonly number[];
      /** Other file descriptors that come along: the twin socket, or eventfds. */
      readonly others?: number;
      readonly secret?: Secret;
    };

/** An answer that says no more than that it is done. */
export const DONE: Answer = { body: new Uint8Array(0) };
