import { expect, test } from 'vitest';

import {
  InstancePlace,
  PLACE_LIFE,
  type PlaceState,
  type PlaceTransition,
} from '../../../src/mdev/registry/instance-place.ts';
import { ParentDevice } from '../../../src/mdev/index.ts';
import { acmeDevice, acmeType } from '../support/acme.ts';

const UUID = '0123abcd-0123-4567-89ab-0123456789ab';
const paths: Readonly<Record<PlaceState, readonly PlaceTransition[]>> = {
  creating: [],
  active: ['created'],
  removing: ['created', 'remove'],
  gone: ['end'],
};

test('what the table does not allow is refused, and what a place has is given back once', async () => {
  const device = await acmeDevice();
  for (const [state, path] of Object.entries(paths) as [PlaceState, readonly PlaceTransition[]][]) {
    for (const transition of ['created', 'remove', 'end'] as const) {
      const type = acmeType();
      const parent = new ParentDevice({ name: 'acme0', driverName: 'acme', types: [type], maxInstances: 1 });
      const place = new InstancePlace(UUID, parent, parent.take(type, {}));
      const steps: Readonly<Record<PlaceTransition, () => unknown>> = {
        created: () => {
          place.created(device);
        },
        remove: () => {
          place.remove();
        },
        end: () => {
          place.end();
        },
      };
      for (const step of path) steps[step]();
      expect(place.state).toBe(state);
      const next = PLACE_LIFE[state][transition];
      if (next === undefined) expect(steps[transition]).toThrow(expect.objectContaining({ code: 'EAGAIN' }));
      else expect(steps[transition]).not.toThrow();
      expect(place.state).toBe(next ?? state);
      expect(parent.instances).toBe(place.state === 'gone' ? 0 : 1);
    }
  }
});
