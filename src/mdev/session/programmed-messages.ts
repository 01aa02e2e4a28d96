import type { InterruptMessage } from '../interrupts/interrupt-message.ts';
import { MdevError } from '../errors/mdev-error.ts';
import { msiMessage, msiMessageSize } from '../interrupts/msi-message.ts';
import { VfioIrq, VfioRegion } from '../vfio/vfio.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import { check, failing } from './answers.ts';
import type { SessionInstance } from './session-instance.ts';

/** What the guest programmed into the MSI-X table and the MSI capability of a session's instance. */
export class ProgrammedMessages {
  readonly #instance: SessionInstance;

  constructor(instance: SessionInstance) {
    this.#instance = instance;
  }

  /** @throws {@link VfioError} `EINVAL` when there is no such vector. */
  msix(vector: number): InterruptMessage {
    this.#instance.check();
    const { irqs, registers } = this.#instance.function;
    return failing(undefined, () => irqs.message(vector, (region) => registers.get(region).registers));
  }

  /** @throws {@link VfioError} `EINVAL` when there is no such message. */
  msi(vector: number): InterruptMessage {
    const core = this.#instance.core('regionRead');
    const { msi } = this.#instance.function.irqs;
    if (msi === undefined || !Number.isInteger(vector) || vector < 0 || vector >= msi.vectors) {
      throw VfioError.from(new MdevError('EINVAL', `MSI vector ${vector}; the device has ${msi?.vectors ?? 0}`));
    }
    const bytes = new Uint8Array(msiMessageSize(msi));
    check('regionRead', core.read(VfioRegion.config, msi.offset, bytes));
    return msiMessage(msi, vector, bytes);
  }

  /** What a vector that fires means, where the instance owns the table. */
  fired(index: number, vector: number): InterruptMessage | undefined {
    if (!this.#instance.active || !this.#instance.function.irqs.areOwned) return undefined;
    if (index === VfioIrq.msix) return this.msix(vector);
    return index === VfioIrq.msi ? this.msi(vector) : undefined;
  }
}
