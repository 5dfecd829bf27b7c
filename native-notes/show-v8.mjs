// Shows what costs in a loop over packets, as forms of one small job: read addresses, ports and
// protocol of frames in one buffer, mix them, write six bytes back. Each form runs in a process
// of its own, since V8 would fit a shared loop to all of them. Needs no root.
import { execFileSync } from 'node:child_process';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as ipv4 from '../dist/src/wire/ipv4.js';
import * as offset from './offsets.mjs';

const SLOTS = 4096;
const SLOT_BYTES = 2048;
const PACKETS = 4_000_000;
const RUNS = 9;

const memory = new ArrayBuffer(SLOTS * SLOT_BYTES);
const frame = new DataView(memory);
const bytes = new Uint8Array(memory);
const words = new Int32Array(memory);
const halves = new Uint16Array(memory);
const longs = new BigUint64Array(memory);
for (let at = 0; at < memory.byteLength; at += 4) frame.setInt32(at, Math.imul(at, 0x9e3779b1));

const { SOURCE, DESTINATION, PORTS, PROTOCOL, MAC_LOW, MAC_HIGH, MASK } = offset;

const FORMS = {
  'one DataView, offsets': (at) => {
    const mixed = frame.getInt32(at + 28) ^ frame.getInt32(at + 32) ^ frame.getInt32(at + 36);
    frame.setUint16(at + 2, mixed & 0xffff);
    frame.setInt32(at + 4, mixed ^ frame.getUint8(at + 25));
  },
  'the same by functions of another module': (at) => {
    const mixed =
      ipv4.source(frame, at + 16) ^ ipv4.destination(frame, at + 16) ^ frame.getInt32(at + 36);
    frame.setUint16(at + 2, mixed & 0xffff);
    frame.setInt32(at + 4, mixed ^ ipv4.protocol(frame, at + 16));
  },
  'the same, offsets imported as constants': (at) => {
    const mixed =
      frame.getInt32(at + offset.SOURCE) ^
      frame.getInt32(at + offset.DESTINATION) ^
      frame.getInt32(at + offset.PORTS);
    frame.setUint16(at + offset.MAC_LOW, mixed & offset.MASK);
    frame.setInt32(at + offset.MAC_HIGH, mixed ^ frame.getUint8(at + offset.PROTOCOL));
  },
  'the same, offsets as constants of this module': (at) => {
    const mixed =
      frame.getInt32(at + SOURCE) ^ frame.getInt32(at + DESTINATION) ^ frame.getInt32(at + PORTS);
    frame.setUint16(at + MAC_LOW, mixed & MASK);
    frame.setInt32(at + MAC_HIGH, mixed ^ frame.getUint8(at + PROTOCOL));
  },
  'Int32Array, aligned': (at) => {
    const word = at >> 2;
    const mixed = words[word + 7] ^ words[word + 8] ^ words[word + 9];
    halves[(at >> 1) + 1] = mixed;
    words[word + 1] = mixed ^ bytes[at + 25];
  },
  'words put together from bytes': (at) => {
    const word = (from) =>
      (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
    const mixed = word(at + 28) ^ word(at + 32) ^ word(at + 36);
    bytes[at + 2] = mixed >> 8;
    bytes[at + 3] = mixed;
    words[(at >> 2) + 1] = mixed ^ bytes[at + 25];
  },
  'a subarray and a DataView for each frame': (at) => {
    const own = bytes.subarray(at, at + 60);
    const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
    const mixed = view.getInt32(28) ^ view.getInt32(32) ^ view.getInt32(36);
    view.setUint16(2, mixed & 0xffff);
    view.setInt32(4, mixed ^ view.getUint8(25));
  },
  'an object with fields for each frame, kept in a batch': (at) => {
    const packet = {
      source: frame.getInt32(at + 28),
      destination: frame.getInt32(at + 32),
      ports: frame.getInt32(at + 36),
      protocol: frame.getUint8(at + 25),
    };
    batch[(at / SLOT_BYTES) & 63] = packet;
    const mixed = packet.source ^ packet.destination ^ packet.ports;
    frame.setUint16(at + 2, mixed & 0xffff);
    frame.setInt32(at + 4, mixed ^ packet.protocol);
  },
  'fields as BigInt': (at) => {
    const mixed = frame.getBigUint64(at + 28) ^ BigInt(frame.getInt32(at + 36));
    frame.setUint16(at + 2, Number(mixed & 0xffffn));
    longs[at >> 3] = mixed ^ BigInt(frame.getUint8(at + 25));
  },
};
const batch = new Array(64).fill(null);

const name = process.argv[2];
if (name === undefined) runAll();
else await runOne(FORMS[name]);

function runAll() {
  console.log('ns a packet   collections   form');
  for (const form of Object.keys(FORMS)) {
    const script = fileURLToPath(import.meta.url);
    process.stdout.write(execFileSync(process.execPath, [script, form], { encoding: 'utf8' }));
  }
}

async function runOne(form) {
  const pass = () => {
    const { user } = process.cpuUsage();
    for (let done = 0; done < PACKETS; done++) form((done & (SLOTS - 1)) * SLOT_BYTES);
    return ((process.cpuUsage().user - user) * 1000) / PACKETS;
  };
  pass();
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  // The fastest: others on the machine can only slow a run down.
  const fastest = Math.min(...Array.from({ length: RUNS }, pass));
  // Entries are handed over by the event loop.
  await sleep(50);
  const cells = [fastest.toFixed(1).padStart(11), `${collections}`.padStart(13)];
  console.log(`${cells.join(' ')}   ${name}`);
}
