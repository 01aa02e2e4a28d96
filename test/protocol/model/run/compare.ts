import { readSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

import type { Sent } from '../spec/connection.ts';
import type { Server } from '../spec/server.ts';
import { Command, HEADER, readHeader } from '../spec/wire.ts';
import type { Arrived, Vmm } from './vmm.ts';

/** A message for people: its header, and its body in hexadecimal. */
export function messageText(bytes: Uint8Array): string {
  const { id, command, flags, errno, size } = readHeader(bytes);
  const body = bytes.subarray(HEADER);
  const hex = Buffer.from(body.subarray(0, 64))
    .toString('hex')
    .replace(/(.{8})(?=.)/g, '$1 ');
  return `id ${id} command ${command} size ${size} flags 0x${flags.toString(16)} errno ${errno} body ${body.length}: ${hex}`;
}

/** How a reply differs from what is expected; undefined when it does not. */
export function replyDifference(expected: Sent, actual: Arrived, server: Server): string | undefined {
  if (expected.secret !== undefined && expected.bytes.length === actual.bytes.length) {
    // What is in a stream is the server's business.
    const { stream, from, length } = expected.secret;
    const data = actual.bytes.slice(SECRET, SECRET + length);
    server.device.migration.learn(stream, from, data);
    expected.bytes.set(data, SECRET);
  }
  if (!sameBytes(expected.bytes, actual.bytes)) {
    return `expected ${messageText(expected.bytes)}\n     got ${messageText(actual.bytes)}${firstDifference(expected.bytes, actual.bytes)}`;
  }
  const fds = expected.files.length + expected.others;
  if (fds !== actual.fds.length) {
    return `${messageText(actual.bytes)}: ${actual.fds.length} file descriptors; expected ${fds}`;
  }
  for (const [index, region] of expected.files.entries()) {
    const contents = server.device.contents(region) ?? new Uint8Array(0);
    const found = new Uint8Array(contents.length);
    readSync(actual.fds[index] ?? -1, found, 0, found.length, 0);
    if (Buffer.compare(found, contents) !== 0) return `the file of region ${region} has other contents`;
  }
  return undefined;
}

/** Where the data of MIG_DATA_READ begins. */
const SECRET = HEADER + 8;

/** Of VERSION's text what counts is what it says. */
function sameBytes(expected: Uint8Array, actual: Uint8Array): boolean {
  if (Buffer.compare(expected, actual) === 0) return true;
  if (readHeader(expected).command !== Command.version || expected.length !== actual.length) return false;
  const text = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes.subarray(HEADER + 4, -1)));
  const front = HEADER + 4;
  return (
    expected.length > front &&
    Buffer.compare(expected.subarray(0, front), actual.subarray(0, front)) === 0 &&
    isDeepStrictEqual(text(expected), text(actual))
  );
}

function firstDifference(expected: Uint8Array, actual: Uint8Array): string {
  const at = expected.findIndex((byte, index) => byte !== actual[index]);
  if (at < HEADER) return '';
  return `\n     at byte ${at - HEADER} of the body: expected ${expected[at]}, got ${actual[at]}`;
}

/** How what lies beside the connection differs: eventfds, guest memory, what the device did. */
export function worldDifference(server: Server, vmm: Vmm): string | undefined {
  const { world, device } = server;
  const counters = vmm.events.map((event) => event.read());
  const expected = world.counters.splice(0, world.counters.length, ...world.counters.map(() => 0));
  if (!isDeepStrictEqual(counters, expected)) {
    return `eventfds counted ${counters.join(' ')}; expected ${expected.join(' ')}`;
  }
  for (const [index, file] of world.files.entries()) {
    const actual = new Uint8Array(vmm.files[index]?.buffer ?? new ArrayBuffer(0));
    if (Buffer.compare(actual, file) === 0) continue;
    const at = file.findIndex((byte, position) => byte !== actual[position]);
    return `memory file ${index} has ${actual[at]} at 0x${at.toString(16)}; expected ${file[at]}`;
  }
  if (vmm.deeds.transfers !== device.dma.transfers.length) {
    return `the device began ${vmm.deeds.transfers} transfers; expected ${device.dma.transfers.length}`;
  }
  for (const [number, transfer] of device.dma.transfers.entries()) {
    const outcome = vmm.deeds.outcomes.get(number);
    const what = `transfer ${number} of the device (${transfer.write ? 'write' : 'read'})`;
    if (outcome?.errno !== transfer.errno) {
      return `${what} ended with ${outcome?.errno ?? 'nothing'}; expected ${transfer.errno ?? 'nothing'}`;
    }
    if (!isDeepStrictEqual(outcome?.data, transfer.data)) return `${what} read other bytes`;
  }
  return vmm.failures.length > 0 ? `the server failed: ${String(vmm.failures[0])}` : undefined;
}
