// For show-cap.sh: one way to use the package `cap`, on eth0. Creates /run/ready once it captures.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const name = process.argv[2];
// In one case the main thread must not have loaded it.
const Cap = name === 'worker-alone' ? undefined : createRequire(import.meta.url)('cap').Cap;
const OWN_MAC = readFileSync('/sys/class/net/eth0/address', 'utf8').trim();
const RING_BYTES = 1 << 24;

/** What a careful caller does: the buffer and the object stay where they are for ever. */
function capture(filter, onFrame) {
  const cap = new Cap();
  const buffer = Buffer.alloc(65_536);
  cap.open('eth0', filter, RING_BYTES, buffer);
  cap.on('packet', () => onFrame(buffer));
  held.push(cap, buffer);
  writeFileSync('/run/ready', '');
  return cap;
}
const held = [];

async function count(filter) {
  let frames = 0;
  capture(filter, () => frames++);
  await sleep(1500);
  console.log(`${frames} frames seen`);
}

async function inWorker() {
  const code = `const { Cap } = require('cap');
    const cap = new Cap();
    cap.open('eth0', '', 65536, Buffer.alloc(65536));
    cap.on('packet', () => {});
    require('fs').writeFileSync('/run/ready', '');
    setTimeout(() => {}, 1500);`;
  const worker = new Worker(code, { eval: true });
  worker.on('error', (error) => console.log(`Error: ${error.code}`));
  await once(worker, 'exit');
}

const CASES = {
  'link-down': async () => {
    capture('', () => {});
    await sleep(3000);
    console.log('still there');
  },
  'send-early': () => new Cap().send(Buffer.alloc(60)),
  'send-late': () => {
    const cap = capture('', () => {});
    cap.close();
    cap.send(Buffer.alloc(60));
  },
  buffer: async () => {
    const cap = new Cap();
    cap.open('eth0', 'icmp', RING_BYTES, Buffer.from(new ArrayBuffer(1 << 24)));
    cap.on('packet', () => {});
    held.push(cap);
    await sleep(10);
    globalThis.gc();
    writeFileSync('/run/ready', '');
    await sleep(1500);
    console.log('still there');
  },
  report: async () => {
    for (let round = 0; round < 200; round++) {
      const cap = new Cap();
      cap.open('eth0', '', 1 << 16, Buffer.alloc(65_536));
      cap.close();
    }
    await sleep(10);
    globalThis.gc();
    await sleep(10);
    globalThis.gc();
    const junk = Array.from({ length: 1000 }, () => Buffer.alloc(512, 0x5a));
    console.log(
      `${process.report.getReport().libuv.length + junk.length > 0 ? 'still there' : ''}`,
    );
  },
  worker: inWorker,
  'worker-alone': inWorker,
  inbound: () => count('inbound and icmp'),
  'other-way': () => count(`icmp and not ether src ${OWN_MAC}`),
  'own-send': async () => {
    const seen = { own: 0, kernel: 0 };
    const filter = `ether src ${OWN_MAC} and (icmp or ether proto 0x88b5)`;
    const cap = capture(
      filter,
      (bytes) => seen[bytes.readUInt16BE(12) === 0x88b5 ? 'own' : 'kernel']++,
    );
    const frame = Buffer.alloc(60);
    Buffer.from(OWN_MAC.replaceAll(':', ''), 'hex').copy(frame, 6);
    frame.writeUInt16BE(0x88b5, 12);
    cap.send(frame, 60);
    await sleep(1500);
    console.log(`own frames seen: ${seen.own} of 1; the kernel's pings seen: ${seen.kernel} of 2`);
  },
  'too-long': () => {
    const cap = capture('', () => {});
    cap.send(Buffer.alloc(1515), 1515);
  },
  cut: async () => {
    const cap = new Cap();
    const buffer = Buffer.alloc(65_536);
    cap.open('eth0', 'udp', RING_BYTES, buffer);
    held.push(cap, buffer);
    cap.on('packet', (bytes, truncated) => {
      const sentBytes = 14 + buffer.readUInt16BE(16);
      console.log(`a frame of ${sentBytes} bytes came as ${bytes}, truncated: ${truncated}`);
    });
    writeFileSync('/run/ready', '');
    await sleep(1500);
  },
  starve: async () => {
    let latestMs = 0;
    let lastMs = performance.now();
    let frames = 0;
    const timer = setInterval(() => {
      latestMs = Math.max(latestMs, performance.now() - lastMs - 10);
      lastMs = performance.now();
    }, 10);
    capture('', () => {
      frames++;
      const until = process.hrtime.bigint() + 10_000n;
      while (process.hrtime.bigint() < until);
    });
    await sleep(5000);
    clearInterval(timer);
    console.log(`${frames} frames seen; the timer was late by up to ${latestMs.toFixed(0)} ms`);
  },
};

await CASES[name]();
process.exit();
