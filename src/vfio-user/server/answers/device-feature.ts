import { constants } from 'node:os';

import { answerFeature, type Feature, type FeatureAnswer } from '../../../mdev/vfio/features.ts';
import { DEVICE_FEATURE_MASK, DeviceFeatureFlag } from '../../protocol/constants.ts';
import { decodeDeviceFeature, DEVICE_FEATURE_SIZE, encodeDeviceFeature } from '../../protocol/structures/index.ts';

export type { Feature } from '../../../mdev/vfio/features.ts';

const { EINVAL } = constants.errno;
const { get, set, probe } = DeviceFeatureFlag;

/** The body of a reply, or an errno. */
export type Answer = Uint8Array | number;

/**
 * Answers DEVICE_FEATURE, as {@link answerFeature}. EINVAL also: unknown flags, or a body that is too short.
 *
 * @param features by number.
 */
export function answerDeviceFeature(
  features: ReadonlyMap<number, Feature>,
  body: Uint8Array,
): Answer | Promise<Answer> {
  const request = decodeDeviceFeature(body);
  if (request === undefined || request.argsz < DEVICE_FEATURE_SIZE) return EINVAL;
  const { flags, argsz, data } = request;
  if ((flags & ~(DEVICE_FEATURE_MASK | get | set | probe)) !== 0) return EINVAL;
  const probes = (flags & probe) !== 0;
  const answer = answerFeature(features, {
    index: flags & DEVICE_FEATURE_MASK,
    get: (flags & get) !== 0,
    set: (flags & set) !== 0,
    probe: probes,
    data,
    room: argsz - DEVICE_FEATURE_SIZE,
  });
  const reply = (result: FeatureAnswer): Answer => {
    if (typeof result === 'number') return result;
    return probes ? body : encodeDeviceFeature(flags, result);
  };
  return answer instanceof Promise ? answer.then(reply) : reply(answer);
}
