import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';

import { MdevError, MdevRegistry, ParentDevice } from '../../../src/mdev/index.ts';
import { acmeRegistry, acmeType } from '../support/acme.ts';

const UUID = '0123abcd-0123-4567-89ab-0123456789ab';
const OTHER = '1123abcd-0123-4567-89ab-0123456789ab';

/** A promise to be settled by the test. */
function gate(): { readonly promise: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    promise,
    open: () => {
      open();
    },
  };
}

async function refusal(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    return error instanceof MdevError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'accepted';
}

test('creates by id and by full name, lists, finds and removes', async () => {
  const registry = acmeRegistry();
  const first = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID.toUpperCase() });
  const second = await registry.create({ parent: 'acme0', type: 'acme-channel', attributes: { lanes: '3' } });
  expect(first).toMatchObject({ uuid: UUID, state: 'created', attributes: { lanes: 2 } });
  expect(second.attributes).toEqual({ lanes: 3 });
  expect(registry.devices).toEqual([first, second]);
  expect(registry.device(UUID.toUpperCase())).toBe(first);
  await registry.remove(UUID);
  expect(first.state).toBe('closed');
  expect(registry.devices).toEqual([second]);
  expect(() => registry.device(UUID)).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  await registry.close();
  expect(registry.devices).toEqual([]);
});

describe('refuses', () => {
  test.each([
    [{ parent: 'acme0', type: 'channel', uuid: 'x' }, /^EINVAL: "x" is not a UUID/],
    [{ parent: 'acme', type: 'channel' }, /^ENODEV: there is no parent "acme"; did you mean "acme0"\?$/],
    [{ parent: 'acme0', type: 'chanel' }, /^ENODEV: parent acme0 has no type "chanel"; did you mean "channel"\?$/],
    [
      { parent: 'acme0', type: 'channel', attributes: { lanes: 5 } },
      /^EINVAL: type channel: lanes is "5"; expected 1 to 4$/,
    ],
    [
      { parent: 'acme0', type: 'channel', attributes: { lane: 1 } },
      /^EINVAL: type channel has no attribute "lane"; did/,
    ],
  ])('%j', async (options, message) => {
    const registry = acmeRegistry();
    expect(await refusal(registry.create(options))).toMatch(message);
    expect(registry.devices).toEqual([]);
    expect(registry.parent('acme0').instances).toBe(0);
  });

  test('a UUID that exists, on whatever parent', async () => {
    const registry = acmeRegistry();
    registry.register(new ParentDevice({ name: 'acme1', driverName: 'acme', types: [acmeType()], maxInstances: 1 }));
    await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
    const again = registry.create({ parent: 'acme1', type: 'channel', uuid: UUID });
    expect(await refusal(again)).toBe(`EEXIST: instance ${UUID} exists on acme0`);
    expect(registry.parent('acme1').availableInstances('channel')).toBe(1);
  });

  test('one instance more than there may be, and gives the place back', async () => {
    const registry = acmeRegistry({ maxInstances: 2 });
    const first = await registry.create({ parent: 'acme0', type: 'channel' });
    await registry.create({ parent: 'acme0', type: 'channel' });
    expect(registry.parent('acme0').availableInstances('channel')).toBe(0);
    expect(await refusal(registry.create({ parent: 'acme0', type: 'channel' }))).toMatch(
      /^EUSERS: .*all 2 are in use$/,
    );
    await registry.remove(first.uuid);
    expect(registry.parent('acme0').availableInstances('channel')).toBe(1);
    await registry.create({ parent: 'acme0', type: 'channel' });
  });

  test('a parent whose name is taken', () => {
    const registry = acmeRegistry();
    const parent = new ParentDevice({ name: 'acme0', driverName: 'acme', types: [], maxInstances: 1 });
    expect(() => {
      registry.register(parent);
    }).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  });

  test('what is no UUID, and what does not exist, on removal', async () => {
    const registry = acmeRegistry();
    expect(await refusal(registry.remove('dsa0'))).toMatch(/^EINVAL/);
    expect(await refusal(registry.remove(UUID))).toBe(`ENODEV: there is no instance ${UUID}`);
  });
});

test('a create that fails leaves nothing, and the UUID can be used again', async () => {
  let fail = true;
  const registry = acmeRegistry({
    create: () => {
      if (fail) throw new Error('no lane is free');
      return {};
    },
  });
  expect(await refusal(registry.create({ parent: 'acme0', type: 'channel', uuid: UUID }))).toBe(
    'Error: no lane is free',
  );
  expect(registry.devices).toEqual([]);
  expect(registry.parent('acme0').instances).toBe(0);
  fail = false;
  expect((await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID })).uuid).toBe(UUID);
});

test('hooks that do not mirror the registers refuse the instance and close the behaviour', async () => {
  let closed = 0;
  const registry = acmeRegistry({
    create: () => ({
      hooks: { bar0: { DOORBEL: { afterWrite: () => undefined } } as object },
      close: () => {
        closed += 1;
      },
    }),
  });
  expect(await refusal(registry.create({ parent: 'acme0', type: 'channel' }))).toMatch(/no register .*DOORBEL/);
  expect(closed).toBe(1);
  expect(registry.parent('acme0').instances).toBe(0);
});

test('while it is being created or removed, an instance is neither found, created nor removed', async () => {
  const creating = gate();
  const closing = gate();
  const registry = acmeRegistry({
    create: async () => {
      await creating.promise;
      return { close: () => closing.promise };
    },
  });
  const created = registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  expect(await refusal(registry.remove(UUID))).toBe(`EAGAIN: instance ${UUID} is being created`);
  expect(await refusal(registry.remove(UUID, { force: true }))).toBe(`EAGAIN: instance ${UUID} is being created`);
  expect(await refusal(registry.create({ parent: 'acme0', type: 'channel', uuid: UUID }))).toBe(
    `EEXIST: instance ${UUID} is being created on acme0`,
  );
  expect(registry.devices).toEqual([]);
  creating.open();
  await created;
  const removed = registry.remove(UUID);
  expect(await refusal(registry.remove(UUID))).toBe(`EAGAIN: instance ${UUID} is being removed`);
  expect(await refusal(registry.create({ parent: 'acme0', type: 'channel', uuid: UUID }))).toBe(
    `EEXIST: instance ${UUID} is being removed on acme0`,
  );
  expect(registry.parent('acme0').instances).toBe(1);
  closing.open();
  await removed;
  expect(registry.parent('acme0').instances).toBe(0);
});

test('an instance that a client holds is asked for, and removed when the client lets go', async () => {
  const registry = acmeRegistry();
  const device = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  const asked: string[] = [];
  device.on('request', (holder) => asked.push(holder.name));
  const attachment = device.attach({ name: 'client', onRequest: () => asked.push('onRequest') });
  const removed = registry.remove(UUID);
  expect(asked).toEqual(['client', 'onRequest']);
  expect(device.state).toBe('attached');
  attachment.detach();
  await removed;
  expect(device.state).toBe('closed');
});

test('with force it is taken away, also while an earlier removal waits', async () => {
  const registry = acmeRegistry();
  const device = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  const revoked: string[] = [];
  const attachment = device.attach({ name: 'client', onRevoked: (reason) => revoked.push(reason) });
  const gentle = registry.remove(UUID);
  expect(await refusal(registry.remove(UUID))).toMatch(/^EAGAIN/);
  await registry.remove(UUID, { force: true });
  await gentle;
  expect(attachment.active).toBe(false);
  expect(revoked).toEqual([expect.stringContaining(`instance ${UUID} (acme0, channel)`)]);
  expect(registry.devices).toEqual([]);
});

test('a behaviour that cannot close is reported, and its place is free again', async () => {
  const registry = acmeRegistry({ create: () => ({ close: () => Promise.reject(new Error('stuck')) }) });
  const removals: unknown[] = [];
  registry.on('removed', ({ uuid, error }) => removals.push([uuid, String(error)]));
  await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  await registry.remove(UUID);
  expect(removals).toEqual([[UUID, 'Error: stuck']]);
  expect(registry.parent('acme0').instances).toBe(0);
});

test('an instance that is closed without the registry gives its place back all the same', async () => {
  const registry = acmeRegistry({
    maxInstances: 1,
    create: () => ({ close: () => Promise.reject(new Error('stuck')) }),
  });
  const removals: unknown[] = [];
  registry.on('removed', ({ uuid, error }) => removals.push([uuid, String(error)]));
  const device = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  await expect(device.close()).rejects.toThrow('stuck');
  await device.ended;
  expect(removals).toEqual([[UUID, 'Error: stuck']]);
  expect([registry.devices, registry.parent('acme0').instances]).toEqual([[], 0]);
  expect(await refusal(registry.remove(UUID))).toMatch(/^ENODEV/);
  await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  expect(registry.parent('acme0').instances).toBe(1);
});

test('an instance that closes while its removal waits for the client is removed once', async () => {
  const registry = acmeRegistry();
  const removals: string[] = [];
  registry.on('removed', ({ uuid }) => removals.push(uuid));
  const device = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
  device.attach({ name: 'client' });
  const removed = registry.remove(UUID);
  await device.close();
  await removed;
  expect([removals, registry.parent('acme0').instances]).toEqual([[UUID], 0]);
});

describe('unregistering a parent', () => {
  test('gives up an instance whose create does not end, and closes what it gives later', async () => {
    vi.useFakeTimers();
    try {
      const creating = gate();
      const log: string[] = [];
      const registry = acmeRegistry({
        create: async ({ signal }) => {
          signal.addEventListener('abort', () => log.push('signal'));
          await creating.promise;
          return { stop: () => log.push('stop'), close: () => void log.push('close') };
        },
      });
      const parent = registry.parent('acme0');
      const created = refusal(registry.create({ parent: 'acme0', type: 'channel', uuid: UUID }));
      const done = registry.unregister('acme0');
      await vi.advanceTimersByTimeAsync(1999);
      expect([registry.parents.length, log]).toEqual([1, []]);
      await vi.advanceTimersByTimeAsync(1);
      await done;
      expect(await created).toBe(
        `ECANCELED: instance ${UUID} on acme0: its type's create had not ended 2000 ms after the parent was to be unregistered`,
      );
      expect([parent.instances, log]).toEqual([0, ['signal']]);
      creating.open();
      await vi.advanceTimersByTimeAsync(0);
      expect(log).toEqual(['signal', 'stop', 'close']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('removes its instances, held ones too, refuses new ones and closes it', async () => {
    const events: string[] = [];
    const registry = new MdevRegistry();
    registry.on('parentRegistered', ({ name }) => events.push(`registered ${name}`));
    registry.on('parentUnregistered', ({ name }) => events.push(`unregistered ${name}`));
    registry.on('created', ({ uuid }) => events.push(`created ${uuid}`));
    registry.on('removed', ({ uuid }) => events.push(`removed ${uuid}`));
    const close = (): void => {
      events.push('closed');
    };
    registry.register(
      new ParentDevice({ name: 'acme0', driverName: 'acme', types: [acmeType()], maxInstances: 4, close }),
    );
    const device = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
    device.attach({ name: 'client' });
    const done = registry.unregister('acme0');
    expect(await refusal(registry.create({ parent: 'acme0', type: 'channel' }))).toBe(
      'ENODEV: parent acme0 is being unregistered',
    );
    expect(await refusal(registry.remove(UUID))).toBe(`ENODEV: parent acme0 of instance ${UUID} is being unregistered`);
    expect(await refusal(registry.unregister('acme0'))).toMatch(/^ENODEV/);
    await done;
    expect(events).toEqual(['registered acme0', `created ${UUID}`, `removed ${UUID}`, 'unregistered acme0', 'closed']);
    expect(registry.parents).toEqual([]);
    expect(await refusal(registry.create({ parent: 'acme0', type: 'channel' }))).toMatch(/^ENODEV: there is no parent/);
  });

  test('waits for an instance that is being created, which is refused', async () => {
    const creating = gate();
    let closed = 0;
    const registry = acmeRegistry({
      create: async () => {
        await creating.promise;
        return {
          close: () => {
            closed += 1;
          },
        };
      },
    });
    const parent = registry.parent('acme0');
    const created = refusal(registry.create({ parent: 'acme0', type: 'channel', uuid: UUID }));
    const done = registry.unregister('acme0');
    creating.open();
    expect(await created).toBe('ENODEV: parent acme0 is being unregistered');
    await done;
    expect([closed, parent.instances]).toEqual([1, 0]);
  });

  test('ends a removal that waits for a client', async () => {
    const registry = acmeRegistry();
    const device = await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
    device.attach({ name: 'client' });
    const removed = registry.remove(UUID);
    await registry.unregister('acme0');
    await removed;
    expect(device.state).toBe('closed');
  });
});

describe('the life of a parent', () => {
  const parentOf = (name: string, close?: () => Promise<void>): ParentDevice =>
    new ParentDevice({ name, driverName: 'acme', types: [acmeType()], maxInstances: 4, ...(close && { close }) });
  const registration = (registry: MdevRegistry, parent: ParentDevice) => (): void => {
    registry.register(parent);
  };

  test('ends before the registry does, whoever ends it', async () => {
    const registry = new MdevRegistry();
    const closing = gate();
    registry.register(parentOf('acme0', () => closing.promise));
    const first = registry.unregister('acme0');
    await vi.waitFor(() => {
      expect(registry.parents).toEqual([]);
    });
    const events: string[] = [];
    const closed = registry.close().then(() => events.push('registry'));
    // Whatever the registry does without waiting is done behind a turn of the loop.
    await new Promise((resolve) => setImmediate(resolve));
    events.push('parent');
    closing.open();
    await closed;
    expect(events).toEqual(['parent', 'registry']);
    await first;
  });

  test('that fails leaves no other one behind', async () => {
    const registry = new MdevRegistry();
    const closing = gate();
    registry.register(parentOf('acme0', () => Promise.reject(new Error('an engine is stuck'))));
    const other = parentOf('acme1', () => closing.promise);
    registry.register(other);
    let done = false;
    const closed = refusal(registry.close()).finally(() => (done = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    closing.open();
    expect(await closed).toBe('Error: an engine is stuck');
    expect(registry.parents).toEqual([]);
  });

  test('is in one registry, once', async () => {
    const [registry, other] = [new MdevRegistry(), new MdevRegistry()];
    const parent = parentOf('acme0');
    registry.register(parent);
    expect(registration(other, parent)).toThrow(
      expect.objectContaining({ code: 'EBUSY', message: 'parent acme0 is registered already' }),
    );
    expect(other.parents).toEqual([]);
    await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID });
    const closing = registry.close();
    expect(registration(other, parent)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    await closing;
    for (const one of [registry, other]) {
      expect(registration(one, parent)).toThrow(
        expect.objectContaining({ code: 'ENODEV', message: 'parent acme0 is closed; make another one' }),
      );
    }
    registry.register(parentOf('acme0'));
    expect((await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID })).uuid).toBe(UUID);
    await registry.close();
  });

  test('is not begun by a registration that is refused', () => {
    const [registry, other] = [new MdevRegistry(), new MdevRegistry()];
    registry.register(parentOf('acme0'));
    const parent = parentOf('acme0');
    expect(registration(registry, parent)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    other.register(parent);
    expect(other.parents).toEqual([parent]);
  });
});

test('the declaration of a type is made once per set of attribute values', async () => {
  const registry = acmeRegistry();
  const [a, b] = [
    await registry.create({ parent: 'acme0', type: 'channel', uuid: UUID }),
    await registry.create({ parent: 'acme0', type: 'channel', uuid: OTHER, attributes: { lanes: '2' } }),
  ];
  expect(b.configSpace).toBe(a.configSpace);
  const c = await registry.create({ parent: 'acme0', type: 'channel', attributes: { lanes: 3 } });
  expect(c.configSpace).not.toBe(a.configSpace);
});

test('any order of creating and removing keeps the counts true', async () => {
  const uuids = Array.from({ length: 6 }, (_, index) => `${index}${UUID.slice(1)}`);
  const step = fc.record({ remove: fc.boolean(), uuid: fc.constantFrom(...uuids) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const registry = acmeRegistry({ maxInstances: 4 });
      const model = new Set<string>();
      for (const { remove, uuid } of steps) {
        const result = await refusal(
          remove ? registry.remove(uuid) : registry.create({ parent: 'acme0', type: 'channel', uuid }),
        );
        if (remove) expect(result.slice(0, 8)).toBe(model.delete(uuid) ? 'accepted' : 'ENODEV: ');
        else if (model.has(uuid)) expect(result).toMatch(/^EEXIST/);
        else if (model.size === 4) expect(result).toMatch(/^EUSERS/);
        else {
          expect(result).toBe('accepted');
          model.add(uuid);
        }
        expect(registry.devices.map((device) => device.uuid).sort()).toEqual([...model].sort());
        expect(registry.parent('acme0').availableInstances('channel')).toBe(4 - model.size);
      }
      await registry.close();
    }),
    { numRuns: 30 },
  );
});
