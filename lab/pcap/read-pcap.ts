// Reads captures with pcap-parser, behind the scan that refuses what pcap-parser reads wrongly.
// Every frame that pcap-parser hands out is held against the scan: its number, its length, and at
// the end the count and the last byte of the file. So a frame number here is Wireshark's.
import { EventEmitter } from 'node:events';
import { closeSync, readSync } from 'node:fs';
import { type Packet, parse } from 'pcap-parser';
import { openCapture, PcapError, type PcapScan, scanOpenPcap } from './scan-pcap.ts';
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from './write-pcap.ts';

const CHUNK_BYTES = 1 << 18;
/** Largest file that is read whole; the frames of a larger one are for `readFrames`. */
const WHOLE_FILE_BYTES = 512 * 1024 * 1024;

export interface PcapFrame {
  /** Counted from 1, as Wireshark shows it. */
  readonly number: number;
  /** Microseconds since 1970. */
  readonly timestampUs: number;
  /** What was captured of the frame; memory of its own. */
  readonly bytes: Uint8Array;
  /** Length of the frame on the wire. */
  readonly originalBytes: number;
}

export interface PcapFile {
  readonly path: string;
  readonly snapLength: number;
  readonly frames: readonly PcapFrame[];
}

/**
 * Reads a whole capture of up to 512 MiB.
 * @throws PcapError that says where, what was found, and what is allowed
 */
export async function readPcap(path: string): Promise<PcapFile> {
  const fd = openCapture(path);
  try {
    const scan = scanOpenPcap(fd, path);
    if (scan.fileBytes > WHOLE_FILE_BYTES) {
      const text = `${scan.fileBytes} bytes are too many to hold in memory; allowed: `;
      throw new PcapError(path, { offset: 0, text: `${text}${WHOLE_FILE_BYTES}` });
    }
    return { path, snapLength: scan.snapLength, frames: [...parseFrames(fd, scan)] };
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a capture of any size, frame by frame. The form of the whole file is checked before the
 * first frame comes.
 * @throws PcapError as `readPcap`
 */
export async function* readFrames(path: string): AsyncGenerator<PcapFrame, void, undefined> {
  const fd = openCapture(path);
  try {
    yield* parseFrames(fd, scanOpenPcap(fd, path));
  } finally {
    closeSync(fd);
  }
}

/** What pcap-parser takes for a stream. Chunks are pushed, so it has nothing to pause. */
class PushedSource extends EventEmitter {
  pause(): void {}
  resume(): void {}
}

/** The parser emits all whole packets of a chunk while the chunk is being pushed. */
function* parseFrames(fd: number, scan: PcapScan): Generator<PcapFrame, void, undefined> {
  const source = new PushedSource();
  const packets: Packet[] = [];
  parse(source)
    .on('packet', (packet) => packets.push(packet))
    .on('error', (error) => {
      throw error;
    });
  let number = 0;
  let next = FILE_HEADER_BYTES;
  for (let offset = 0; offset < scan.fileBytes; offset += CHUNK_BYTES) {
    source.emit('data', readChunk(fd, offset, scan));
    for (const packet of packets) {
      number += 1;
      checkAgainstScan(packet, number, { scan, offset: next });
      next += RECORD_HEADER_BYTES + packet.data.length;
      yield toFrame(packet, number);
    }
    packets.length = 0;
  }
  if (number !== scan.capturedBytes.length || next !== scan.fileBytes) {
    const text = `pcap-parser ended after frame ${number} of ${scan.capturedBytes.length}`;
    throw new PcapError(scan.path, { offset: next, text });
  }
}

/** Fresh memory for every chunk, because the parser keeps slices of the last one. */
function readChunk(fd: number, offset: number, scan: PcapScan): Buffer {
  const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, scan.fileBytes - offset));
  if (readSync(fd, chunk, 0, chunk.length, offset) !== chunk.length) {
    const text = 'the file became shorter while it was read';
    throw new PcapError(scan.path, { offset, text });
  }
  return chunk;
}

function checkAgainstScan(
  packet: Packet,
  number: number,
  expected: { readonly scan: PcapScan; readonly offset: number },
): void {
  const captured = expected.scan.capturedBytes[number - 1];
  if (packet.data.length === captured) return;
  const text = `pcap-parser read frame ${number} as ${packet.data.length} bytes, the scan as ${captured}`;
  throw new PcapError(expected.scan.path, { offset: expected.offset, text });
}

function toFrame({ header, data }: Packet, number: number): PcapFrame {
  return {
    number,
    timestampUs: header.timestampSeconds * 1_000_000 + header.timestampMicroseconds,
    bytes: new Uint8Array(data),
    originalBytes: header.originalLength,
  };
}
