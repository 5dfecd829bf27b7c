// Shows what the package pcap-parser makes of nine captures, beside what lab/pcap/scan-pcap.ts
// says of them. Needs no root.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { scanPcap } from '../dist/lab/pcap/scan-pcap.js';

const { parse } = createRequire(import.meta.url)('pcap-parser');
const MICROSECONDS = 0xa1b2c3d4;

function header({ magic = MICROSECONDS, major = 2, minor = 4, linkType = 1 } = {}) {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt16LE(major, 4);
  bytes.writeUInt16LE(minor, 6);
  bytes.writeUInt32LE(262_144, 16);
  bytes.writeUInt32LE(linkType, 20);
  return bytes;
}

function record(bytes = 60, claimed = bytes) {
  const record = Buffer.alloc(16 + bytes);
  record.writeUInt32LE(claimed, 8);
  record.writeUInt32LE(claimed, 12);
  return record;
}

const three = [record(), record(), record()];
const cut = Buffer.concat([header(), ...three]).subarray(0, -10);
const FILES = {
  'three frames': [header(), ...three],
  'version 2.0': [header({ minor: 0 }), ...three],
  'version 9.4': [header({ major: 9 }), ...three],
  'Linux cooked frames': [header({ linkType: 113 }), ...three],
  nanoseconds: [header({ magic: 0xa1b23c4d }), ...three],
  pcapng: [header({ magic: 0x0a0d0d0a }), ...three],
  'cut in the third': [cut],
  'a record of 2 GB': [header(), record(), record(60, 0x7fffffff), record()],
  '5 bytes behind': [header(), ...three, Buffer.alloc(5)],
};

/** What pcap-parser tells its caller. */
function read(bytes) {
  return new Promise((resolve) => {
    let frames = 0;
    let error = 'no error';
    parse(Readable.from([bytes]))
      .on('packet', () => frames++)
      .on('error', ({ message }) => {
        error = message;
      })
      .on('end', () => resolve(`${frames} frames, ${error}`));
  });
}

const directory = mkdtempSync(join(tmpdir(), 'furiwake-note-'));
try {
  for (const [name, parts] of Object.entries(FILES)) {
    const bytes = Buffer.concat(parts);
    const path = join(directory, 'note.pcap');
    writeFileSync(path, bytes);
    let scan = 'good';
    try {
      scanPcap(path);
    } catch (problem) {
      scan = problem.message.slice(path.length + 2).replaceAll(path, 'FILE');
    }
    console.log(`${name}:\n  pcap-parser: ${await read(bytes)}\n  the scan:    ${scan}`);
  }
} finally {
  rmSync(directory, { recursive: true });
}
