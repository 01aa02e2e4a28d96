/** What instances of a type take from their parent. The parent's vendor keeps the books; the framework asks. */
export interface ResourcePool<A, T extends Disposable> {
  /** How many more instances with these attributes could be created now, one after the other. Never negative. */
  available(attributes: A): number;
  /**
   * Takes what one instance needs. Disposing of the result gives it back, once.
   * @throws `MdevError` `EUSERS` when `available(attributes)` is 0.
   */
  allocate(attributes: A): T;
}
