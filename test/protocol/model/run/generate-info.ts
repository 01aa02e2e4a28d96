import { Region } from '../spec/layout.ts';
import { Command, words } from '../spec/wire.ts';
import type { Draft } from './generate.ts';
import type { Random } from './random.ts';

/** DEVICE_GET_INFO, GET_REGION_INFO, GET_IRQ_INFO and GET_REGION_IO_FDS. */
export function infoRequest(random: Random): readonly Draft[] {
  const argsz = random.weighted([
    [4, 0],
    [2, 16],
    [1, -1],
    [1, 1],
    [1, 200],
  ] as const);
  switch (random.below(5)) {
    case 0:
      return [{ command: Command.deviceInfo, body: words(16 + argsz, 0, 0, 0), what: 'GET_INFO' }];
    case 1: {
      const index = random.pick([0, 1, 2, 3, 4, 5, 77]);
      return [{ command: Command.irqInfo, body: words(16 + argsz, 0, index, 0), what: `GET_IRQ_INFO ${index}` }];
    }
    case 2: {
      const [flags, count] = random.oneIn(6)
        ? random.pick([
            [1, 0],
            [0, 1],
          ] as const)
        : [0, 0];
      const index = random.pick([
        Region.bar0,
        Region.bar0,
        Region.bar0,
        Region.bar2,
        Region.vga,
        Region.config,
        Region.log,
        3,
        11,
        512,
      ]);
      const room = random.oneIn(3) ? random.pick([39, 40, 119, 160, 159, 1000]) : argsz;
      const body = words(16 + room, flags, index, count);
      return [{ command: Command.regionIoFds, body, what: `GET_REGION_IO_FDS ${index}` }];
    }
    default: {
      const index = random.pick([...Object.values(Region), Region.bar2, Region.log, Region.mailbox, 3, 5, 11, 0xffff]);
      const needed = random.pick([32, 32, 48, 64, 63, 47, 31, 200]);
      const body = words(needed, 0, index, 0, 0, 0, 0, 0);
      return [{ command: Command.regionInfo, body, what: `GET_REGION_INFO ${index}` }];
    }
  }
}

/** DEVICE_RESET, whose body does not matter. */
export function reset(random: Random): readonly Draft[] {
  return [{ command: Command.deviceReset, body: random.bytes(random.pick([0, 0, 0, 3])), what: 'DEVICE_RESET' }];
}

/** What no client may ask for. */
export function unknownCommand(random: Random): readonly Draft[] {
  const command = random.pick([0, 1, 11, 12, 14, 19, 20, 255, 999, 0xffff]);
  return [{ command, body: random.bytes(random.pick([0, 1, 16, 24, 32, 100])), what: `command ${command}` }];
}
