/** What a message is answered with: a body, and files of regions that go with it; or an errno. */
export type Answer =
  | number
  | {
      readonly body: Uint8Array;
      /** Regions whose file comes along. */
      readonly files?: readonly number[];
    };

/** An answer that says no more than that it is done. */
export const DONE: Answer = { body: new Uint8Array(0) };
