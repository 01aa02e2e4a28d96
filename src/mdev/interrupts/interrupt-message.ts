/** What a guest programmed for one vector of MSI or MSI-X (PCI Local Bus Specification 3.0, 6.8.1 and 6.8.2). */
export interface InterruptMessage {
  /** Where the vector's write goes: a guest address, that of its interrupt controller. */
  readonly address: bigint;
  /** What is written there, 32 bits; of MSI the low 16. */
  readonly data: number;
  /** The vector is kept back: by its own mask, or with MSI also because it is not enabled. */
  readonly masked: boolean;
}
