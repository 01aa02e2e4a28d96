/** The registers of config space that steer PASIDs and page requests, from the device's side. A capability that is hidden reads zero. */
export interface SvaRegisters {
  readonly PASID?: { readonly CONTROL: { readonly enable: boolean } };
  readonly ATS?: { readonly CONTROL: { readonly enable: boolean } };
  readonly PRI?: {
    readonly CONTROL: { readonly enable: boolean };
    readonly STATUS: { responseFailure: boolean; unexpectedGroupIndex: boolean; stopped: boolean };
    readonly CAPACITY: { readonly requests: number };
    readonly ALLOCATION: { readonly requests: number };
  };
}

/** What the guest says of PASIDs and page requests (PCI Express Base Specification 5.0, 7.8.8, 10.5.1, 10.5.2). */
export class SvaControls {
  readonly #registersNow: () => SvaRegisters;
  #pageRequests = false;

  /** @param registers as they are at that moment. */
  constructor(registers: () => SvaRegisters) {
    this.#registersNow = registers;
  }

  get #registers(): SvaRegisters {
    return this.#registersNow();
  }

  /** The device may use PASIDs. */
  get pasid(): boolean {
    return this.#registers.PASID?.CONTROL.enable === true;
  }

  /** The device may ask for pages, and expects answers. */
  get pageRequests(): boolean {
    const { ATS, PRI } = this.#registers;
    return ATS?.CONTROL.enable === true && PRI?.CONTROL.enable === true && !PRI.STATUS.responseFailure;
  }

  /** The device has no translations, and so nothing to ask for. */
  get translations(): boolean {
    return this.#registers.ATS?.CONTROL.enable === true;
  }

  /** Pages that may be asked for at a time: what the guest allows, up to the capacity. */
  get allocation(): number {
    const { PRI } = this.#registers;
    return PRI === undefined ? 0 : Math.min(PRI.ALLOCATION.requests, PRI.CAPACITY.requests);
  }

  /** Follows PRI.CONTROL.enable. @param outstanding whether requests wait for answers. */
  follow(outstanding: boolean): void {
    const { PRI } = this.#registers;
    if (PRI === undefined) return;
    const enabled = PRI.CONTROL.enable;
    if (enabled === this.#pageRequests) return;
    this.#pageRequests = enabled;
    if (enabled) {
      PRI.STATUS.responseFailure = false;
      PRI.STATUS.unexpectedGroupIndex = false;
      PRI.STATUS.stopped = false;
    } else {
      PRI.STATUS.stopped = !outstanding;
    }
  }

  /** PRI was restored: it is not enabled anew, so its status stays, but for what follows from the device. @param outstanding as {@link follow}. */
  restored(outstanding: boolean): void {
    const { PRI } = this.#registers;
    if (PRI === undefined) return;
    this.#pageRequests = PRI.CONTROL.enable;
    PRI.STATUS.stopped = !this.#pageRequests && !outstanding;
  }

  /** Nothing is outstanding any more. */
  drained(): void {
    const { PRI } = this.#registers;
    if (PRI !== undefined && !PRI.CONTROL.enable) PRI.STATUS.stopped = true;
  }

  /** A response said that page requests have ended. */
  responseFailed(): void {
    const { PRI } = this.#registers;
    if (PRI !== undefined) PRI.STATUS.responseFailure = true;
  }

  /** A response was for nothing that is outstanding. */
  responseUnexpected(): void {
    const { PRI } = this.#registers;
    if (PRI !== undefined) PRI.STATUS.unexpectedGroupIndex = true;
  }
}
