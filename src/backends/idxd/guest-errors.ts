import type { QueueDevice } from '../../engine/index.ts';
import type { GuestError } from '../../mdev/index.ts';
import type { DsaRegion } from './region.ts';

/** SWERROR0 with an error in it. */
type HeldError = Pick<
  DsaRegion['registers']['SWERROR0'],
  'valid' | 'error' | 'queueIndexValid' | 'queueIndex' | 'descriptorValid' | 'operation'
>;

/** What the guest of one device did wrong. SWERROR holds one error at a time, so each is noted before it goes. */
export class DsaGuestErrors {
  readonly #region: DsaRegion;
  readonly #queues: Pick<QueueDevice, 'statistics' | 'eventLogStatistics'>;
  readonly #software = new Map<number, GuestError>();
  /** The one in SWERROR is noted. */
  #isNoted = false;

  constructor(region: DsaRegion, queues: Pick<QueueDevice, 'statistics' | 'eventLogStatistics'>) {
    this.#region = region;
    this.#queues = queues;
  }

  /** Looks at SWERROR; to be called before and after it is reset. */
  look(): void {
    this.#note(this.#region.registers.SWERROR0);
  }

  /** The guest wrote SWERROR0, which may have taken an error away. */
  afterWrite(next: { readonly valid: boolean }, previous: HeldError): void {
    this.#note(previous);
    this.#isNoted &&= next.valid;
  }

  /** Everything, counted since the device was made. */
  all(): readonly GuestError[] {
    this.look();
    return [
      ...this.#software.values(),
      ...this.#ofEventLog(),
      ...this.#region.registers.WQCFG.flatMap((_, queue) => this.#ofQueue(queue)),
    ];
  }

  #note({ valid, error, queueIndexValid, queueIndex, descriptorValid, operation }: HeldError): void {
    const isNew = valid && !this.#isNoted;
    this.#isNoted = valid;
    if (!isNew) return;
    const queue = queueIndexValid ? ` of WQ ${queueIndex}` : '';
    const descriptor = descriptorValid ? `, descriptor of operation ${hex(operation)}` : '';
    this.#software.set(error, {
      kind: `SWERROR ${hex(error)}`,
      message: `bar0.SWERROR0 holds error ${hex(error)}${queue}${descriptor}`,
      count: (this.#software.get(error)?.count ?? 0) + 1,
    });
  }

  #ofEventLog(): readonly GuestError[] {
    if (this.#region.registers.EVLS.length === 0) return [];
    const { written, lost } = this.#queues.eventLogStatistics();
    return [
      { kind: 'event log', message: 'the event log has an error', count: written },
      { kind: 'event log lost', message: 'the event log did not take an error', count: lost },
    ];
  }

  #ofQueue(queue: number): readonly GuestError[] {
    const { dropped, full } = this.#queues.statistics(queue);
    return [
      { kind: `WQ ${queue} full`, message: `WQ ${queue} is full and refused a descriptor`, count: full },
      { kind: `WQ ${queue} disabled`, message: `WQ ${queue} takes nothing and dropped a portal write`, count: dropped },
    ];
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}
