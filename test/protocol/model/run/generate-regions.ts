import { At, Config, Fail, Region, regionFacts } from '../spec/layout.ts';
import { Command, joined, longs, words } from '../spec/wire.ts';
import type { Draft } from './generate.ts';
import type { Random } from './random.ts';

/** Registers that sequences go for, with values that do something there. */
const BAR_PLACES: readonly (readonly [number, number, readonly number[]])[] = [
  [At.id, 4, []],
  [At.scratch, 4, []],
  [At.mixed, 4, []],
  [At.cause, 4, [0xffff, 1, 0x100]],
  [At.hooked, 4, [1, 0x8001, 0xffff_ffff]],
  [At.kept, 4, []],
  [At.wide, 8, []],
  [At.msixTable, 4, []],
  [At.msixTable + 12, 4, [0, 1]],
  [At.msixPending, 8, []],
  [At.fail, 4, [Fail.correctable, Fail.correctable, Fail.nonFatal, Fail.fatal, Fail.freeze, 0]],
];
const RAISES = [0, 1, 2, 3, 0x1000_0000, 0x1000_0001, 0x1000_0003, 0x2000_0000, 0x3000_0000];
const CONFIG_PLACES: readonly (readonly [number, number, readonly number[]])[] = [
  [Config.command, 2, [7, 7, 7, 7, 6, 3, 0, 0x407, 0x406, 0xffff]],
  [Config.status, 2, [0xffff]],
  [Config.bars, 4, [0xffff_ffff, 0xfebf_0000]],
  [Config.bars + 8, 4, [0xffff_ffff]],
  [Config.bars + 16, 4, [0xffff_ffff, 0xc001]],
  [Config.rom, 4, [0xffff_ffff, 1, 0]],
  [Config.interruptLine, 1, []],
  [Config.powerControl, 2, [3, 0, 0, 0, 1, 2]],
  [Config.msiControl, 2, [1, 0x11, 0x21, 0x71, 0, 0]],
  [Config.msiMask, 4, [0, 0, 0xf, 1, 2]],
  [Config.msiPending, 4, [0xf]],
  [Config.msixControl, 2, [0x8000, 0xc000, 0x4000, 0, 0]],
  [Config.deviceControl, 2, [0x8000, 0x8000, 0x28f0]],
  [Config.deviceControl + 2, 2, [0xf]],
  [Config.express + 0x28, 2, [0xffff]],
];

/** REGION_WRITE. */
export function write(region: number, offset: number | bigint, data: Uint8Array, count = data.length): Draft {
  return {
    command: Command.regionWrite,
    body: joined(longs(BigInt(offset)), words(region, count), data),
    what: `REGION_WRITE region ${region} [0x${offset.toString(16)}, +${count})`,
  };
}

function read(region: number, offset: number | bigint, count: number): Draft {
  return {
    command: Command.regionRead,
    body: joined(longs(BigInt(offset)), words(region, count)),
    what: `REGION_READ region ${region} [0x${offset.toString(16)}, +${count})`,
  };
}

/** The guest's driver switches the function on. */
export function enableFunction(random: Random): readonly Draft[] {
  return [
    write(
      Region.config,
      Config.command,
      Uint8Array.of(
        random.weighted([
          [12, 7],
          [1, 3],
          [1, 5],
          [1, 6],
        ] as const),
        0,
      ),
    ),
  ];
}

/** REGION_READ and REGION_WRITE. */
export function accessRegion(random: Random): readonly Draft[] {
  if (random.oneIn(25)) return keptBackAndReset(random);
  switch (random.below(10)) {
    case 0:
    case 1:
      return [write(Region.bar0, At.raise, words(random.pick(RAISES)))];
    case 2:
      return [write(Region.bar0, At.line, words(random.pick([0, 1, 1])))];
    case 3:
    case 4:
    case 5:
      return [register(random, Region.bar0, BAR_PLACES)];
    case 6:
    case 7:
      return [register(random, Region.config, CONFIG_PLACES)];
    default:
      return [anywhere(random)];
  }
}

/** An interrupt that the guest keeps back, and a reset: nobody hears of it. */
function keptBackAndReset(random: Random): readonly Draft[] {
  const [back, raised] = random.pick([
    [write(Region.config, Config.command, words(0x407).slice(0, 2)), write(Region.bar0, At.line, words(1))],
    [write(Region.config, Config.msixControl, words(0x8000).slice(0, 2)), write(Region.bar0, At.line, words(1))],
    [write(Region.config, Config.msixControl, words(0xc000).slice(0, 2)), write(Region.bar0, At.raise, words(1))],
    [write(Region.config, Config.msiMask, words(0xf)), write(Region.bar0, At.raise, words(0x1000_0001))],
  ] as const);
  const power = (state: number): Draft => write(Region.config, Config.powerControl, Uint8Array.of(state, 0));
  const resets = random.pick<readonly Draft[]>([
    [{ command: Command.deviceReset, body: new Uint8Array(0), what: 'DEVICE_RESET' }],
    [write(Region.config, Config.deviceControl, Uint8Array.of(0, 0x80))],
    [power(3), power(0)],
  ]);
  return [back, raised, ...resets];
}

/** A register, whole or in part. */
function register(random: Random, region: number, places: typeof BAR_PLACES): Draft {
  const [offset, size, values] = random.pick(places);
  const value = values.length > 0 && !random.oneIn(5) ? random.pick(values) : random.bits();
  const bytes = longs(BigInt(value) | (BigInt(random.bits()) << 32n)).subarray(0, size);
  const part = random.oneIn(4) ? random.below(size) : 0;
  const count = random.oneIn(4) ? random.between(1, size - part) : size - part;
  return random.oneIn(3)
    ? read(region, offset + part, count)
    : write(region, offset + part, bytes.slice(part, part + count));
}

/** Anywhere in a region, and around its end. */
function anywhere(random: Random): Draft {
  const region = random.pick([...Object.values(Region), 3, 5, 11, 0x100]);
  const size = regionFacts[region]?.size ?? 0x1000;
  const offset = random.weighted<number | bigint>([
    [6, random.below(size)],
    [2, Math.max(0, size - random.below(9))],
    [1, size],
    [1, random.pick([(1n << 64n) - 1n, 1n << 63n, BigInt(size) + 1n])],
  ]);
  const most = region === Region.config ? 8 : 64;
  const count = random.weighted([
    [4, random.pick([1, 2, 4, 8])],
    [2, random.below(most + 1)],
    [1, 0],
  ] as const);
  if (random.oneIn(2))
    return read(region, offset, random.oneIn(12) ? random.pick([size, size + 1, 0x10_0001, 0xffff_ffff]) : count);
  return write(
    region,
    offset,
    random.bytes(count),
    random.oneIn(15) ? random.pick([0, count + 1, 0xffff_ffff]) : count,
  );
}

/** REGION_WRITE_MULTI. */
export function writeMulti(random: Random): readonly Draft[] {
  const entry = (): Uint8Array => {
    const [region, places] = random.pick([
      [Region.bar0, BAR_PLACES],
      [Region.config, CONFIG_PLACES],
    ] as const);
    const [offset, size, values] = random.pick(places);
    const wrong = random.oneIn(25);
    return joined(
      longs(BigInt(wrong ? random.pick([0x1000, 0x1001 - size]) : offset)),
      words(random.oneIn(25) ? random.pick([1, 9, 11]) : region, random.oneIn(25) ? 9 : size),
      longs(BigInt(values.length > 0 ? random.pick(values) : random.bits())),
    );
  };
  const count = random.below(6);
  const entries = Array.from({ length: count }, entry);
  const told = random.oneIn(12) ? random.pick([count + 1, 2 ** 40, Math.max(0, count - 1)]) : count;
  return [
    {
      command: Command.regionWriteMulti,
      body: joined(longs(BigInt(told)), ...entries),
      what: `REGION_WRITE_MULTI ${told}`,
    },
  ];
}
