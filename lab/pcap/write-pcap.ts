// Writes captures in the classic pcap format (IETF draft-ietf-opsawg-pcap): microseconds, little
// endian, Ethernet. Frames are gathered in memory and written in whole records, so that the file is
// readable after every flush, whatever then happens to the process. A file has limits, and says
// which of them turned a frame away.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

export const FILE_HEADER_BYTES = 24;
export const RECORD_HEADER_BYTES = 16;
export const MAGIC_MICROSECONDS = 0xa1b2c3d4;
export const LINKTYPE_ETHERNET = 1;
/** Longest frame of a file, libpcap's own maximum for Ethernet. */
export const SNAP_LENGTH = 262_144;

const BUFFER_BYTES = 2 * SNAP_LENGTH;
const MICROSECONDS = 1_000_000;

export interface PcapLimits {
  /** Most frames in the file. */
  readonly limitFrames?: number | undefined;
  /** Most bytes of the file, headers included. */
  readonly limitBytes?: number | undefined;
}

export interface WrittenFrame {
  /** Microseconds since 1970, a whole number. */
  readonly timestampUs: number;
  /** What was captured of the frame, at most SNAP_LENGTH bytes. */
  readonly bytes: Uint8Array;
  /** Length of the frame on the wire, where it was longer than what was captured. */
  readonly originalBytes?: number | undefined;
}

export interface PcapWriter {
  readonly frames: number;
  /** Bytes of all frames as captured, without the file's own headers. */
  readonly bytes: number;
  /** The limit that turned a frame away; undefined while all frames had room. */
  readonly full: 'frames' | 'bytes' | undefined;
  /** Adds a frame; false, for ever, once a limit turned one away. */
  write(frame: WrittenFrame): boolean;
  /** Brings all frames so far into the file. @throws Error such as ENOSPC; the file stays whole */
  flush(): void;
  /** Brings the rest into the file and closes it. @throws Error as `flush`; it is closed anyway */
  close(): void;
}

/** Begins a file, replacing an older one of that name. */
export function createPcapWriter(path: string, limits: PcapLimits = {}): PcapWriter {
  return new FileWriter(path, limits);
}

class FileWriter implements PcapWriter {
  frames = 0;
  bytes = 0;
  full: 'frames' | 'bytes' | undefined;
  readonly #fd: number;
  readonly #limitFrames: number;
  readonly #limitBytes: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #buffered = 0;
  #flushed = 0;

  constructor(path: string, limits: PcapLimits) {
    this.#limitFrames = limits.limitFrames ?? Number.POSITIVE_INFINITY;
    this.#limitBytes = limits.limitBytes ?? Number.POSITIVE_INFINITY;
    this.#fd = openSync(path, 'w');
    this.#putFileHeader();
    this.flush();
  }

  write(frame: WrittenFrame): boolean {
    if (this.full !== undefined) return false;
    const length = frame.bytes.length;
    if (length > SNAP_LENGTH) {
      throw new RangeError(`a frame of ${length} bytes; a pcap file takes up to ${SNAP_LENGTH}`);
    }
    const record = RECORD_HEADER_BYTES + length;
    if (this.frames >= this.#limitFrames) this.full = 'frames';
    else if (this.#flushed + this.#buffered + record > this.#limitBytes) this.full = 'bytes';
    if (this.full !== undefined) return false;
    if (this.#buffered + record > BUFFER_BYTES) this.flush();
    this.#putRecord(frame);
    this.frames += 1;
    this.bytes += length;
    return true;
  }

  flush(): void {
    let done = 0;
    try {
      while (done < this.#buffered) {
        const left = this.#buffered - done;
        done += writeSync(this.#fd, this.#buffer, done, left, this.#flushed + done);
      }
    } catch (error) {
      this.#cutBack();
      throw error;
    }
    this.#flushed += this.#buffered;
    this.#buffered = 0;
  }

  close(): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  /** A full disk must not leave half a record behind. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#flushed);
    } catch {
      // Nothing to cut: not a regular file. The error of the write is the one to tell.
    }
  }

  #putFileHeader(): void {
    this.#buffer.fill(0, 0, FILE_HEADER_BYTES);
    this.#buffer.writeUInt32LE(MAGIC_MICROSECONDS, 0);
    this.#buffer.writeUInt16LE(2, 4);
    this.#buffer.writeUInt16LE(4, 6);
    this.#buffer.writeUInt32LE(SNAP_LENGTH, 16);
    this.#buffer.writeUInt32LE(LINKTYPE_ETHERNET, 20);
    this.#buffered = FILE_HEADER_BYTES;
  }

  #putRecord({ timestampUs, bytes, originalBytes = bytes.length }: WrittenFrame): void {
    const at = this.#buffered;
    this.#buffer.writeUInt32LE(Math.floor(timestampUs / MICROSECONDS), at);
    this.#buffer.writeUInt32LE(timestampUs % MICROSECONDS, at + 4);
    this.#buffer.writeUInt32LE(bytes.length, at + 8);
    this.#buffer.writeUInt32LE(originalBytes, at + 12);
    this.#buffer.set(bytes, at + RECORD_HEADER_BYTES);
    this.#buffered = at + RECORD_HEADER_BYTES + bytes.length;
  }
}
