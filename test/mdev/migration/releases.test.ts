/** Streams of releases before and after this one. */
import { describe, expect, it } from 'vitest';

import { type Counter, counter, restored, saved, seen } from '../support/migratable.ts';
import { plainMigratable } from '../support/plain-card.ts';
import { changed, type StreamParts, takeApart } from '../support/stream-parts.ts';
import { MigrationState, type PlatformCapabilities } from '../../../src/mdev/index.ts';

async function streamOf(platform: Partial<PlatformCapabilities> = {}): Promise<Uint8Array> {
  const { device } = await counter({ platform });
  using session = device.open({ name: 'source' });
  await session.writeRegister(7, 4, 2, 7);
  await session.writeRegister(0, 0x14, 4, 77);
  return await saved(session);
}

/** Gives a stream to a new counter. */
async function taken(stream: Uint8Array, platform: Partial<PlatformCapabilities> = {}): Promise<Counter> {
  const target = await counter({ platform });
  using session = target.device.open({ name: 'target' });
  await restored(session, stream);
  return target;
}

async function refusal(stream: Uint8Array, platform: Partial<PlatformCapabilities> = {}): Promise<string> {
  const target = await counter({ platform });
  using session = target.device.open({ name: 'target' });
  await session.writeRegister(7, 4, 2, 7);
  await session.writeRegister(0, 0x14, 4, 5);
  const before = await seen(session);
  const error: unknown = await restored(session, stream).then(
    () => 'taken',
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({ code: 'EINVAL' });
  await session.setMigrationState(MigrationState.running);
  expect(await seen(session)).toEqual(before);
  expect(target.count).toBe(5);
  return error instanceof Error ? (error.cause as Error).message : String(error);
}

const platformOf = ({ header }: StreamParts): Record<string, string> => header['platform'] as Record<string, string>;
const attributesOf = ({ header }: StreamParts): Record<string, unknown> =>
  header['attributes'] as Record<string, unknown>;

describe('a stream of a next release', () => {
  it('is taken while what is new there is as it always was', async () => {
    expect(platformOf(takeApart(await streamOf()))).toEqual({});
    expect(platformOf(takeApart(await streamOf({ msixOwner: 'device' })))).toEqual({ msixOwner: 'device' });
  });

  it('is refused for a switch of the platform more, by name', async () => {
    const stream = changed(await streamOf(), (parts) => {
      platformOf(parts)['fastPath'] = 'true';
    });
    expect(await refusal(stream)).toContain('its platform has "fastPath", which is "true"; there is no such switch');
  });

  it('is refused for a value more, by name', async () => {
    const stream = changed(await streamOf(), (parts) => {
      platformOf(parts)['msixOwner'] = 'both';
    });
    expect(await refusal(stream)).toContain(`its platform's msixOwner is "both", expected "client"`);
  });

  it('is refused for an attribute more, by name', async () => {
    const stream = changed(await streamOf(), (parts) => {
      attributesOf(parts)['colour'] = 'red';
    });
    expect(await refusal(stream)).toContain('its attribute "colour", which is "red", is none of acme-counter');
  });

  it('is refused for a field of the header more, by name', async () => {
    const stream = changed(await streamOf(), ({ header }) => {
      header['__proto__2'] = 1;
    });
    expect(await refusal(stream)).toContain('its header has "__proto__2", which is not known here');
  });

  it('is refused for a section more, unless its writer says that it can be skipped', async () => {
    const stream = await streamOf();
    for (const at of [0, 1, 99]) {
      const next = changed(stream, ({ sections }) =>
        sections.splice(at, 0, { name: 'pasids', bytes: Buffer.alloc(9) }),
      );
      expect(await refusal(next)).toContain('there is no section "pasids" here; it has 9 bytes');
      const skippable = changed(stream, ({ sections }) =>
        sections.splice(at, 0, { name: 'pasids', bytes: Buffer.alloc(9, 0xff), mark: 'skippable' }),
      );
      expect((await taken(skippable)).count).toBe(77);
      const marked = changed(stream, ({ sections }) =>
        sections.splice(at, 0, { name: 'pasids', bytes: Buffer.alloc(9), mark: 'whatever' }),
      );
      expect(await refusal(marked)).toContain(`its header's sections is of another kind`);
    }
  });

  it('cannot make a reader take bytes without end', async () => {
    const stream = changed(await streamOf(), ({ sections }) =>
      sections.push({ name: 'large', bytes: Buffer.alloc(1024 * 1024 + 1), mark: 'skippable' }),
    );
    expect(await refusal(stream)).toContain('"large"');
  });
});

describe('a stream of a former release', () => {
  it('is of a device as all were, where it names no switch', async () => {
    const former = changed(await streamOf({ msixOwner: 'device' }), ({ header }) => {
      header['platform'] = {};
    });
    expect((await taken(former)).count).toBe(77);
    expect(await refusal(former, { msixOwner: 'device' })).toContain(`msixOwner is "client", expected "device"`);
    expect(await refusal(former, { enforceBusMaster: false })).toContain(
      'enforceBusMaster is "true", expected "false"',
    );
  });

  it('may name every switch', async () => {
    const former = changed(await streamOf(), ({ header }) => {
      header['platform'] = { hiddenCapabilities: '', msixOwner: 'client', enforceBusMaster: 'true', hiddenFields: '' };
    });
    expect((await taken(former)).count).toBe(77);
  });

  it('is of a device that is not frozen, where nothing says so, and is refused without what every release has', async () => {
    const stream = await streamOf();
    const without = (gone: string): Uint8Array =>
      changed(stream, (parts) => {
        parts.sections = parts.sections.filter(({ name }) => name !== gone);
      });
    const target = await taken(without('life cycle'));
    expect([target.count, target.device.failure]).toEqual([77, undefined]);
    const names = takeApart(stream).sections.map(({ name }) => name);
    expect(names).toEqual(['memory bar2', 'registers 0', 'registers 7', 'interrupts', 'life cycle']);
    for (const name of names.slice(0, -1))
      expect(await refusal(without(name))).toContain(`it has no section "${name}"`);
  });

  it('may have its sections in another order', async () => {
    const stream = changed(await streamOf(), ({ sections }) => sections.reverse());
    expect((await taken(stream)).count).toBe(77);
  });

  it.each(['type', 'id', 'attributes', 'platform', 'payloadVersion', 'compatibility'])(
    'is refused without %s',
    async (field) => {
      const stream = changed(await streamOf(), ({ header }) => {
        Reflect.deleteProperty(header, field);
      });
      expect(await refusal(stream)).toContain(`its header has no ${field}`);
    },
  );

  it('has a payload that its vendor knows by its version', async () => {
    const versions: number[] = [];
    const source = await plainMigratable({ version: 1 });
    const target = await plainMigratable({
      version: 2,
      accepts: (version) => {
        if (version > 2) throw new RangeError(`version ${version}`);
      },
      restore: (_payload, _early, version) => versions.push(version),
    });
    using from = source.open({ name: 'source' });
    using to = target.open({ name: 'target' });
    const stream = await saved(from);
    await restored(to, stream);
    await restored(to, await saved(to));
    expect(versions).toEqual([1, 2]);
    const next = changed(stream, ({ header }) => {
      header['payloadVersion'] = 3;
    });
    await expect(restored(to, next)).rejects.toThrow('version 3');
  });
});
