import { createPasidTable, type PageRequestHandler, type PasidTable } from '../../native/pasid-table.ts';
import type { DeviceCore } from '../../native/binding.ts';
import { callSynchronously } from '../base/call-synchronously.ts';
import { MdevError } from '../errors/mdev-error.ts';
import type { PageResponse } from './page-request.ts';
import { PageRequests } from './page-requests.ts';
import type { PasidPool } from './pasid-pool.ts';
import { Pasids } from './pasids.ts';
import type { SvaBehaviour } from './sva-behaviour.ts';
import { SvaControls, type SvaRegisters } from './sva-controls.ts';
import { type SvaDeclaration, svaLimits, type SvaLimits } from './sva-declaration.ts';
import type { ConfigSpace } from '../../emulation/index.ts';

/** PCI Express Base Specification 5.0, 10.4.2.2. */
const RESPONSE_CODES: Readonly<Record<PageResponse, number>> = { success: 0, invalid: 1, failure: 15 };

/** Whose SVA it is. */
export interface SvaSubject {
  /** For messages: "instance 5f1c… (dsa0, dsa-cfg-v1)". */
  readonly who: string;
  readonly declaration: SvaDeclaration;
  readonly configSpace: ConfigSpace;
  readonly core: DeviceCore;
  readonly registers: () => SvaRegisters;
  readonly pool: PasidPool;
  /** What keeps the device from its memory, by PASID as otherwise. */
  readonly gate: { readonly granted: boolean; readonly isolated: boolean; readonly paused: boolean };
  readonly behaviour: () => SvaBehaviour | undefined;
  /** Runs what a behaviour's error must not pass; the instance fails then. */
  attempt(path: string, action: () => void): void;
}

/** PASIDs and page requests of one instance, and what its guest, its client and its errors do to them. */
export class InstanceSva {
  readonly limits: SvaLimits;
  readonly pasids: Pasids;
  readonly requests: PageRequests;
  /** For copies of TypeScript's. */
  readonly table: PasidTable;
  readonly #subject: SvaSubject;
  readonly #controls: SvaControls;

  /** @throws `DeclarationError` when the declaration does not go with the config space. */
  constructor(subject: SvaSubject) {
    const { core, declaration, pool, who } = subject;
    this.#subject = subject;
    this.limits = svaLimits(declaration, subject.configSpace);
    this.table = createPasidTable(core, this.limits.pageRequestCapacity === undefined ? null : this.#engines());
    this.#controls = new SvaControls(subject.registers);
    this.requests = new PageRequests({
      who,
      limits: this.limits,
      controls: this.#controls,
      reachable: () => this.#reachable,
      isAttached: (pasid) => this.pasids.isAttached(pasid),
    });
    this.pasids = new Pasids({
      who,
      limits: this.limits,
      pool,
      table: this.table,
      tell: (hook, call) => {
        subject.attempt(`sva.${hook}`, () => {
          callSynchronously(`sva.${hook}`, () => {
            const behaviour = subject.behaviour();
            if (behaviour !== undefined) call(behaviour);
          });
        });
      },
      detached: (pasid) => {
        this.requests.refuse(pasid);
      },
    });
  }

  /** Config space, or what keeps the device from its memory, may have changed. */
  follow(): void {
    const { granted, isolated } = this.#subject.gate;
    this.table.setReachable(this.#reachable);
    this.#controls.follow(this.requests.outstanding > 0);
    // A device that is only paused goes on with what it waits for.
    if (!granted || isolated || !this.#controls.pasid || !this.#controls.translations) this.requests.refuse();
  }

  /** Config space was restored. */
  restored(): void {
    this.#controls.restored(this.requests.outstanding > 0);
  }

  /** PRI.CONTROL.reset was written while page requests are disabled: what is outstanding is forgotten. */
  resetPageRequests(): void {
    this.requests.refuse();
    this.#controls.drained();
  }

  /** The instance is closed. */
  close(): void {
    this.table.close();
  }

  /** Engines ask as the behaviour does, and are answered on this thread. */
  #engines(): PageRequestHandler {
    return {
      request: (number, pasid, iova, pages, rights, privileged) => {
        const access = rights === 3 ? 'rw' : rights === 2 ? 'w' : 'r';
        const answer = (response: PageResponse): void => {
          this.table.respond(number, RESPONSE_CODES[response]);
        };
        try {
          this.requests.ask({ pasid, iova, pages, access, privileged }, answer);
        } catch (error) {
          if (!(error instanceof MdevError)) throw error;
          // An engine that was given such an address by a guest.
          answer('invalid');
        }
      },
    };
  }

  /** Nobody holds the instance any more. */
  clientGone(): void {
    this.requests.ignore();
    this.pasids.clear();
  }

  /** @throws {@link MdevError} `EBUSY` when there is what cannot be taken to another device. */
  checkMigratable(): void {
    const inUse = this.pasids.inUse;
    if (inUse === undefined) return;
    throw new MdevError('EBUSY', `${inUse}, which does not migrate: detach it first, and attach another one there`);
  }

  get #reachable(): boolean {
    const { granted, isolated, paused } = this.#subject.gate;
    return granted && !isolated && !paused && this.#controls.pasid;
  }
}
