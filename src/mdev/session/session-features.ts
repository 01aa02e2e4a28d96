import { constants } from 'node:os';

import { answerFeature, DeviceFeature, type Feature, type FeatureAnswer } from '../vfio/features.ts';
import { dmaLoggingFeatures } from '../dma/dma-logging-features.ts';
import { migrationFeatures } from '../migration/features.ts';
import type { MigrationMachine } from '../migration/migration-machine.ts';
import { VfioError } from '../vfio/vfio-error.ts';
import { checkFeature, checkInteger, type FeatureRequest } from '../vfio/vfio-requests.ts';
import { failing, refuse } from './answers.ts';
import type { SessionInstance } from './session-instance.ts';

const { EINVAL, ENOTSUP } = constants.errno;
const FEATURE = 'deviceFeature';

/** VFIO_DEVICE_FEATURE of a session, and the stream of its migration. */
export class SessionFeatures {
  readonly #instance: SessionInstance;

  constructor(instance: SessionInstance) {
    this.#instance = instance;
  }

  /** `EOPNOTSUPP` for what may have to wait. */
  answer(request: FeatureRequest): Uint8Array {
    const { index, probe = false, set = false } = request;
    if (index === DeviceFeature.migrationDeviceState && set && !probe) {
      throw new VfioError(ENOTSUP, 'deviceFeature: setting the state may have to wait; use DeviceSession', FEATURE);
    }
    const answer = this.answerInTime(request);
    return answer instanceof Uint8Array ? answer : refuse(FEATURE, ENOTSUP);
  }

  /** The same, which may wait. */
  answerInTime(request: FeatureRequest): Uint8Array | Promise<Uint8Array> {
    checkFeature(request);
    const { data = new Uint8Array(0), get = false, index, probe = false, replySize = 0, set = false } = request;
    const core = this.#instance.core(FEATURE);
    const migration = this.#instance.migration(FEATURE);
    const features = new Map<number, Feature>([
      ...dmaLoggingFeatures(core),
      ...(migration === undefined ? [] : migrationFeatures(migration)),
    ]);
    const room = Math.max(data.length, replySize);
    const reply = (result: FeatureAnswer): Uint8Array =>
      typeof result === 'number' ? refuse(FEATURE, result) : result;
    return failing(FEATURE, () => {
      const answer = answerFeature(features, { index, get, set, probe, data, room });
      if (!(answer instanceof Promise)) return reply(answer);
      return answer.then(reply).catch((error: unknown) => {
        throw VfioError.from(error, FEATURE);
      });
    });
  }

  readMigrationData(size: number): Uint8Array {
    checkInteger('migrationDataRead', 'the size', size);
    const migration = this.#migrating('migrationDataRead');
    return failing('migrationDataRead', () => migration.read(size));
  }

  writeMigrationData(data: Uint8Array): void {
    const migration = this.#migrating('migrationDataWrite');
    failing('migrationDataWrite', () => {
      migration.write(data);
    });
  }

  #migrating(request: string): MigrationMachine {
    return this.#instance.migration(request) ?? refuse(request, EINVAL);
  }
}
