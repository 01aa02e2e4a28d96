import { describe, expect, it } from 'vitest';

import { mdev } from './support/run.ts';

describe('mdev types', () => {
  it('prints mdevctl’s layout, with attributes', async () => {
    const { code, stderr, stdout } = await mdev('types');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe('dsa0');
    expect(lines.filter((line) => /^ {2}\S/.test(line))).toEqual(['  dsa-1dwq-v1', '  dsa-1swq-v1', '  dsa-cfg-v1']);
    const configurable = lines.slice(lines.indexOf('  dsa-cfg-v1'));
    expect(configurable.slice(1, 6)).toEqual([
      '    Available instances: 1',
      '    Device API: vfio-pci',
      expect.stringMatching(/^ {4}Name: \S/),
      expect.stringMatching(/^ {4}Description: \S/),
      '    Attributes:',
    ]);
    expect(configurable).toContainEqual(expect.stringMatching(/^ {6}queues: 1 to 8, default 8: \S/));
  });

  it('prints mdevctl’s JSON, with attributes', async () => {
    const { stdout } = await mdev('types', '--json');
    expect(JSON.parse(stdout)).toEqual([
      {
        dsa0: [
          {
            'dsa-1dwq-v1': {
              available_instances: 8,
              device_api: 'vfio-pci',
              name: expect.any(String) as string,
              description: expect.any(String) as string,
              attributes: expect.objectContaining({ entries: expect.anything() as unknown }) as unknown,
            },
          },
          {
            'dsa-1swq-v1': expect.objectContaining({
              available_instances: 8,
              attributes: expect.objectContaining({ entries: expect.anything() as unknown }) as unknown,
            }) as unknown,
          },
          {
            'dsa-cfg-v1': expect.objectContaining({
              available_instances: 1,
              device_api: 'vfio-pci',
              attributes: expect.objectContaining({
                queues: {
                  kind: 'integer',
                  minimum: 1,
                  maximum: 8,
                  default: 8,
                  description: expect.any(String) as string,
                },
                interruptHandles: { kind: 'flag', default: false, description: expect.any(String) as string },
              }) as unknown,
            }) as unknown,
          },
        ],
      },
    ]);
  });
});

describe('mdev platforms', () => {
  it('lists what --platform takes', async () => {
    const { code, stderr, stdout } = await mdev('platforms');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^reportErrors: true or false, default false: \S/m);
    expect(stdout).toMatch(/^hiddenFields: names separated by commas, default none: \S/m);
    const data = JSON.parse((await mdev('platforms', '--json')).stdout) as Record<string, unknown>;
    expect(Object.keys(data)).toHaveLength(stdout.trimEnd().split('\n').length);
    expect(data['answersWithin']).toMatchObject({ kind: 'integer', minimum: 1, default: 4000 });
  });
});
