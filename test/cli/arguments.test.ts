import { describe, expect, it } from 'vitest';

import { mdev, run, start } from './support/run.ts';

describe('mdev refuses with exit code 2, one line and a next step', () => {
  it.each([
    ['no command', [], /^mdev: a command is needed; see "mdev --help"$/],
    ['an unknown command', ['serv'], /^mdev: unknown command 'serv'; did you mean serve\?; see "mdev --help"$/],
    ['help of an unknown command', ['help', 'nonsense'], /^mdev: a command is needed; see "mdev --help"$/],
    [
      'an unknown option',
      ['types', '--jsn'],
      /^mdev: unknown option '--jsn'; did you mean --json\?; see "mdev types --help"$/,
    ],
    ['an operand too many', ['types', 'all'], /^mdev: too many arguments .*; see "mdev types --help"$/],
    ['no type', ['serve', '--fd', '3'], /^mdev: required option '--type <type>' .*; see "mdev serve --help"$/],
    ['no address', ['serve', '--type', 'dsa-cfg-v1'], /^mdev: one of --socket-path PATH and --fd N is needed.*; see/],
    [
      'two addresses',
      ['serve', '--type', 'dsa-cfg-v1', '--fd', '3', '--socket-path', 'x'],
      /^mdev: option '--fd <n>' cannot be used with option '--socket-path <path>'; see "mdev serve --help"$/,
    ],
    ['an empty path', ['serve', '--type', 'dsa-cfg-v1', '--socket-path', ''], /^mdev: one of --socket-path/],
    ['a descriptor that is no number', ['serve', '--type', 'dsa-cfg-v1', '--fd', '3x'], /'3x' is invalid/],
    ['standard output as socket', ['serve', '--type', 'dsa-cfg-v1', '--fd', '1'], /1 and 2 are for output/],
    ['a descriptor beyond all', ['serve', '--type', 'dsa-cfg-v1', '--fd', '2147483648'], /'2147483648' is invalid/],
    [
      'an unknown type',
      ['serve', '--type', 'dsa-cfg-v2', '--fd', '3'],
      /^mdev: parent dsa0 has no type "dsa-cfg-v2"; did you mean "dsa-cfg-v1"\?; see "mdev types"$/,
    ],
    [
      'an unknown parent',
      ['describe', '--type', 'dsa-cfg-v1', '--parent', 'dsa1'],
      /"dsa1"; known: dsa0; see "mdev types"$/,
    ],
    [
      'an unknown attribute',
      ['describe', '--type', 'dsa-cfg-v1', '--set', 'qeues=1'],
      /^mdev: type dsa-cfg-v1 has no attribute "qeues"; did you mean "queues"\?; see "mdev types"$/,
    ],
    [
      'an attribute out of range',
      ['describe', '--type', 'dsa-cfg-v1', '--set', 'queues=9'],
      /^mdev: type dsa-cfg-v1: queues is "9"; expected 1 to 8; see "mdev types"$/,
    ],
    [
      'attributes that do not go together',
      ['describe', '--type', 'dsa-cfg-v1', '--set', 'entries=7'],
      /^mdev: type dsa-cfg-v1: entries is 7; expected at least 8, one for each of the 8 queues; see "mdev types"$/,
    ],
    ['an attribute without a value', ['describe', '--type', 'dsa-cfg-v1', '--set', 'queues'], /Expected NAME=VALUE/],
    [
      'an attribute that is set twice',
      ['describe', '--type', 'dsa-cfg-v1', '--set', 'queues=1', '--set', 'queues=1'],
      /queues is set twice/,
    ],
    [
      'an unknown platform switch',
      ['serve', '--type', 'dsa-cfg-v1', '--fd', '3', '--platform', 'reportError=true'],
      /^mdev: there is no platform switch "reportError"; did you mean "reportErrors"\?; see "mdev platforms"$/,
    ],
    [
      'a platform switch out of range',
      ['serve', '--type', 'dsa-cfg-v1', '--fd', '3', '--platform', 'answersWithin=0'],
      /^mdev: platform: answersWithin is "0"; expected 1 to 2147483647; see "mdev platforms"$/,
    ],
    ['a UUID that is none', ['serve', '--type', 'dsa-cfg-v1', '--fd', '3', '--uuid', '12'], /"12" is not a UUID/],
    ['two formats', ['describe', '--type', 'dsa-cfg-v1', '--json', '--dump'], /cannot be used with option '--dump'/],
  ])('%s', async (_what, words, message) => {
    const { code, stderr, stdout } = await mdev(...words);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^mdev: [^\n]+; see "mdev[^\n]*"\n$/);
    expect(stderr.trimEnd()).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('what fails ends with exit code 1, one line and a next step', () => {
  it.each([
    ['a descriptor that is not open', ['--fd', '999'], /file descriptor 999: .*; pass a UNIX stream socket/],
    [
      'a directory that does not exist',
      ['--socket-path', '/nonexistent/socket'],
      /\/nonexistent\/socket: .*; create its directory first/,
    ],
    [
      'a path that is too long',
      ['--socket-path', `/tmp/${'x'.repeat(103)}`],
      /at most 107; choose a shorter --socket-path/,
    ],
    [
      'a path that is no socket',
      ['--socket-path', '/'],
      /socket path \/ .*; stop what serves there, or choose another/,
    ],
  ])('%s', async (_what, words, message) => {
    const { code, stderr, stdout } = await mdev('serve', '--type', 'dsa-1dwq-v1', ...words);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^mdev: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });

  it('a native addon that is missing', async () => {
    const environment = { MDEV_NATIVE_PATH: '/nonexistent/mdev.node' };
    const { code, stderr } = await (await start('cli/main.js', ['types'], { environment })).ended;
    expect(stderr).toMatch(/^mdev: [^\n]*no native addon at \/nonexistent\/mdev\.node[^\n]*\n$/);
    expect(code).toBe(1);
    // Help needs none.
    expect((await (await start('cli/main.js', ['--help'], { environment })).ended).code).toBe(0);
  });
});

describe('help', () => {
  it.each([
    [[], ['serve', 'types', 'describe']],
    [['serve'], ['--socket-path', '--fd', '--uuid', '--parent', '--set', '--json']],
    [['types'], ['--json']],
    [['describe'], ['--set', '--json', '--dump']],
  ])('of mdev %s has every option, examples and exit codes', async (command, words) => {
    const { code, stderr, stdout } = await mdev(...command, '--help');
    for (const word of words) expect(stdout).toContain(word);
    expect(stdout).toMatch(/Examples:\n {2}mdev /);
    expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 the command line is wrong.');
    expect(stdout.split('\n').filter((line) => line.length > 132)).toEqual([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('of npm start', async () => {
    const { code, stdout } = await run('cli/start.js', '--help');
    expect(stdout).toMatch(/Examples:\n {2}npm start/);
    expect(code).toBe(0);
  });

  it('says the version', async () => {
    expect((await mdev('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
