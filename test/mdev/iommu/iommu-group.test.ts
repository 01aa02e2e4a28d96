import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Container, type MdevDevice, MdevRegistry, ParentDevice } from '../../../src/mdev/index.ts';
import { IommuGroups } from '../../../src/mdev/iommu/iommu-groups.ts';
import { connect, serve } from '../../../src/vfio-user/index.ts';
import { socketPair } from '../../../src/vfio-user/native.ts';
import { acmeType } from '../support/acme.ts';

/** Instances of a parent that puts those with as many lanes into one group. */
async function instances(...lanes: readonly number[]): Promise<MdevDevice[]> {
  const registry = new MdevRegistry();
  registry.register(
    new ParentDevice({
      name: 'acme0',
      driverName: 'acme',
      types: [acmeType()],
      maxInstances: 8,
      groupOf: ({ attributes }) => (attributes['lanes'] === 1 ? undefined : `lanes ${String(attributes['lanes'])}`),
    }),
  );
  return Promise.all(
    lanes.map((count) => registry.create({ parent: 'acme0', type: 'channel', attributes: { lanes: count } })),
  );
}

function nameOf({ uuid }: MdevDevice): string {
  return `instance ${uuid} (acme0, channel)`;
}

describe('a group', () => {
  test('is of its own, unless the parent says otherwise, and is there while an instance is in it', async () => {
    const [alone, other, first, second] = (await instances(1, 1, 2, 2)) as [
      MdevDevice,
      MdevDevice,
      MdevDevice,
      MdevDevice,
    ];
    expect(alone.group).not.toBe(other.group);
    expect(alone.group.members).toEqual([nameOf(alone)]);
    expect(second.group).toBe(first.group);
    expect(first.group.members).toEqual([nameOf(first), nameOf(second)]);
    expect(new Set([alone, other, first].map(({ group }) => group.id)).size).toBe(3);
    await first.close();
    expect(second.group.members).toEqual([nameOf(second)]);
  });

  test('has one owner: who wants another of its instances is told who holds what, and since when', async () => {
    const [first, second] = (await instances(2, 2)) as [MdevDevice, MdevDevice];
    const before = Date.now();
    const attachment = first.attach({ name: 'qemu of vm 7' });
    const refused = (): unknown => second.attach({ name: 'qemu of vm 8' });
    expect(refused).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    const [, message, since] = /^(.*), open since (\S+) by qemu of vm 7$/.exec(messageOf(refused)) ?? [];
    expect(message).toBe(`group ${first.group.id} is held by ${nameOf(first)}`);
    expect(Date.parse(since ?? '')).toBeGreaterThanOrEqual(before);
    expect([second.state, second.attachment]).toEqual(['created', undefined]);
    attachment.detach();
    expect(first.group.inUse).toBe(false);
    second.attach({ name: 'qemu of vm 8' }).detach();
  });

  test('is held by one container, whose devices may all be of it', async () => {
    const [first, second, third] = (await instances(2, 2, 2)) as [MdevDevice, MdevDevice, MdevDevice];
    using container = new Container({ name: 'vm7', model: { kind: 'map-all' } });
    using other = new Container({ name: 'vm8', model: { kind: 'map-all' } });
    const one = first.open({ name: 'vmm' }, { container });
    const two = second.open({ name: 'vmm' }, { container });
    one.sync.close();
    expect(messageOf(() => third.open({ name: 'vmm' }, { container: other }))).toMatch(
      `group ${first.group.id} is held by ${nameOf(second)}, open since `,
    );
    expect(messageOf(() => third.open({ name: 'vmm' }))).toMatch(/ by vmm with container vm7$/);
    two.sync.close();
    third.open({ name: 'vmm' }, { container: other }).sync.close();
  });

  test('refuses a vfio-user client of another of its instances, until the first has gone', async () => {
    const [first, second] = (await instances(2, 2)) as [MdevDevice, MdevDevice];
    const dial = async (device: MdevDevice) => {
      const [near, far] = socketPair();
      serve(device, { fd: far });
      return connect({ fd: near });
    };
    const client = await dial(first);
    await expect(dial(second)).rejects.toThrow();
    expect(second.state).toBe('created');
    const gone = new Promise((resolve) => first.once('detached', resolve));
    await client.close();
    await gone;
    await (await dial(second)).close();
  });

  test('is not viable while an application uses it', async () => {
    const [device, other] = (await instances(2, 2)) as [MdevDevice, MdevDevice];
    const { group } = device;
    const claims = [group.claim('dml of pid 4711'), group.claim('dpdk')];
    expect(group.viable).toBe(false);
    expect(messageOf(() => device.attach({ name: 'vmm' }))).toMatch(
      `group ${group.id} of ${nameOf(device)} is not viable: dml of pid 4711 uses it since `,
    );
    expect(device.state).toBe('created');
    for (const claim of claims) {
      expect(() => other.open({ name: 'vmm' })).toThrow(expect.objectContaining({ code: 'EBUSY' }));
      claim[Symbol.dispose]();
      claim[Symbol.dispose]();
    }
    using _session = device.open({ name: 'vmm' });
    expect(messageOf(() => group.claim('dml'))).toMatch(`group ${group.id} is held by ${nameOf(device)}, open since `);
    expect(group.viable).toBe(true);
  });

  test('stays claimed when its instances are gone', () => {
    const groups = new IommuGroups();
    const [first, second] = [{ who: 'first' }, { who: 'second' }];
    const group = groups.join('queue 2', first);
    const claim = group.claim('dml');
    group.leave(first);
    expect(groups.join('queue 2', second)).toBe(group);
    claim[Symbol.dispose]();
    group.leave(second);
    expect(groups.join('queue 2', first)).not.toBe(group);
  });

  test('is free when the instance that is held is closed', async () => {
    const [first, second] = (await instances(2, 2)) as [MdevDevice, MdevDevice];
    first.attach({ name: 'vmm' });
    await first.close();
    second.attach({ name: 'other' }).detach();
  });
});

function messageOf(refused: () => unknown): string {
  try {
    refused();
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  throw new Error('it was not refused');
}

const member = fc.nat(5);
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('hold' as const), member, space: fc.nat(2) }),
    fc.record({ do: fc.constantFrom('release' as const, 'leave' as const), member }),
    fc.record({ do: fc.constant('claim' as const), member }),
    fc.record({ do: fc.constant('unclaim' as const), member }),
  ),
  { maxLength: 40 },
);

test('a group that is claimed when its last instance leaves goes with the claim', () => {
  const groups = new IommuGroups();
  const member = { who: 'instance' };
  const group = groups.join('uuid 1', member);
  const [one, other] = [group.claim('dml'), group.claim('spdk')];
  group.leave(member);
  one[Symbol.dispose]();
  expect([groups.size, groups.join('uuid 1', member)]).toEqual([1, group]);
  group.leave(member);
  other[Symbol.dispose]();
  other[Symbol.dispose]();
  expect(groups.size).toBe(0);
  expect(groups.join('uuid 1', member)).not.toBe(group);
});

test('a frozen instance that cannot be attached, because of its group or its container, is not reset for it', async () => {
  const [held, frozen] = (await instances(2, 2)) as [MdevDevice, MdevDevice];
  let resets = 0;
  frozen.on('reset', () => (resets += 1));
  frozen.error({ uncorrectable: 'completerAbort' });
  const attachment = held.attach({ name: 'qemu of vm 7' });
  expect(() => frozen.attach({ name: 'qemu of vm 8' })).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  expect([frozen.state, resets]).toEqual(['frozen', 0]);
  attachment.detach();

  using container = new Container({ name: 'vm8', model: { kind: 'guest-visible', bridge: 'pcie.1' } });
  const options = { container, bridge: 'pcie.2' };
  expect(() => frozen.open({ name: 'vm 8' }, options)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  expect([frozen.state, resets, frozen.group.inUse]).toEqual(['frozen', 0, false]);

  using _ = frozen.open({ name: 'vm 8' }, { container, bridge: 'pcie.1' });
  expect([frozen.state, resets, container.info().devices.length]).toEqual(['running', 1, 1]);
});

test('whatever happens: one address space a group, nothing held beside a claim', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const groups = new IommuGroups();
      const spaces = [{}, {}, {}];
      // Members 0 to 2 and 3 to 5 share a group.
      const keyOf = (index: number): string => (index < 3 ? 'a' : 'b');
      const members = Array.from({ length: 6 }, (_, index) => ({ who: `member ${index}` }));
      const groupOf = members.map((each, index) => groups.join(keyOf(index), each));
      const held = new Map<number, number>();
      const claims: { readonly group: unknown; readonly claim: Disposable }[] = [];
      const inGroup = (index: number): number[] =>
        [...held].filter(([other]) => groupOf[other] === groupOf[index]).map(([, space]) => space);
      for (const step of history) {
        const { member: index } = step;
        const [group, who] = [groupOf[index], members[index]];
        if (group === undefined || who === undefined) throw new Error('no such member');
        const claimed = claims.some((each) => each.group === group);
        if (step.do === 'hold') {
          if (held.has(index)) continue;
          const expected = !claimed && inGroup(index).every((space) => space === step.space);
          const hold = (): void => {
            group.hold(who, { addressSpace: spaces[step.space] ?? {}, name: 'x' });
          };
          if (expected) {
            hold();
            held.set(index, step.space);
          } else expect(hold).toThrow(expect.objectContaining({ code: 'EBUSY' }));
        } else if (step.do === 'claim') {
          const expected = inGroup(index).length === 0;
          if (expected) claims.push({ group, claim: group.claim('x') });
          else expect(() => group.claim('x')).toThrow(expect.objectContaining({ code: 'EBUSY' }));
        } else if (step.do === 'unclaim') {
          const at = claims.findIndex((each) => each.group === group);
          for (const { claim } of at < 0 ? [] : claims.splice(at, 1)) claim[Symbol.dispose]();
        } else {
          held.delete(index);
          if (step.do === 'release') group.release(who);
          else {
            group.leave(who);
            groupOf[index] = groups.join(keyOf(index), who);
          }
        }
        for (const [at, each] of groupOf.entries()) {
          expect([each.inUse, each.viable]).toEqual([
            inGroup(at).length > 0,
            !claims.some((other) => other.group === each),
          ]);
        }
      }
    }),
  );
});
