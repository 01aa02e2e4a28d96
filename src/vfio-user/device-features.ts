import { constants } from 'node:os';

import { DEVICE_FEATURE_MASK, DeviceFeatureFlag } from './protocol.ts';
import { decodeDeviceFeature, DEVICE_FEATURE_SIZE, encodeDeviceFeature } from './structures/index.ts';

const { EINVAL, ENOTTY } = constants.errno;
const { get, set, probe } = DeviceFeatureFlag;

/** The body of a reply, or an errno. */
export type Answer = Uint8Array | number;

/** One feature of DEVICE_FEATURE. A method that is missing is not supported. */
export interface Feature {
  /**
   * @param data what the request carries for the feature, of any length.
   * @param room bytes of data that the reply may have.
   * @returns the reply's data, at most `room` bytes; or an errno, with nothing changed.
   */
  get?(data: Uint8Array, room: number): Answer | Promise<Answer>;
  /** @returns the reply's data, as long as `data`; or an errno. */
  set?(data: Uint8Array): Answer | Promise<Answer>;
}

function isAnswer(answer: Answer | Promise<Answer>): answer is Answer {
  return typeof answer === 'number' || answer instanceof Uint8Array;
}

/**
 * Answers DEVICE_FEATURE with the kernel's rules for VFIO_DEVICE_FEATURE. ENOTTY: the device does not have the feature. EINVAL: unknown flags, no method, get
 * and set at once without probing, a method that the feature does not have, a body or a reply that does not fit.
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
  const methods = flags & (get | set);
  const probes = (flags & probe) !== 0;
  if ((flags & ~(DEVICE_FEATURE_MASK | get | set | probe)) !== 0) return EINVAL;
  if (probes ? false : methods === 0 || methods === (get | set)) return EINVAL;
  const feature = features.get(flags & DEVICE_FEATURE_MASK);
  if (feature === undefined) return ENOTTY;
  if ((methods & get) !== 0 && feature.get === undefined) return EINVAL;
  if ((methods & set) !== 0 && feature.set === undefined) return EINVAL;
  // These two are answered with what was asked.
  if ((probes || methods === set) && argsz < body.length) return EINVAL;
  if (probes) return body;
  const answer = methods === get ? feature.get?.(data, argsz - DEVICE_FEATURE_SIZE) : feature.set?.(data);
  if (answer === undefined) return EINVAL;
  const reply = (result: Answer): Answer => (typeof result === 'number' ? result : encodeDeviceFeature(flags, result));
  return isAnswer(answer) ? reply(answer) : answer.then(reply);
}
