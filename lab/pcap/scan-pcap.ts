// Looks over a capture before pcap-parser reads it, and refuses what pcap-parser 0.2.1 reads
// wrongly or not at all: it accepts wrong versions and link types, drops a record that is cut
// short, and swallows the rest of a file behind a bogus length, all of it silently. What passes
// here has nothing but whole records of Ethernet frames with microseconds, to the last byte of the
// file.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  FILE_HEADER_BYTES,
  LINKTYPE_ETHERNET,
  MAGIC_MICROSECONDS,
  RECORD_HEADER_BYTES,
  SNAP_LENGTH,
} from './write-pcap.ts';

const WINDOW_BYTES = 1 << 20;
const MICROSECONDS = 1_000_000;

/** Link types that people meet when they capture in another way (tcpdump.org/linktypes.html). */
const LINK_TYPES: Readonly<Record<number, string>> = {
  0: 'BSD loopback',
  101: 'raw IP, as from a tunnel',
  113: 'Linux cooked, as from `tcpdump -i any`',
  127: 'radiotap, as from Wi-Fi in monitor mode',
  276: 'Linux cooked 2, as from `tcpdump -i any`',
};

/** Why a capture is refused: the file, the offset, what was found, what is allowed. */
export class PcapError extends Error {
  override readonly name = 'PcapError';
  readonly path: string;
  /** Where in the file; for a bad record, where the record begins. */
  readonly offset: number;
  /** Whether all before the offset is good and the file merely ends too early. */
  readonly cutShort: boolean;

  constructor(
    path: string,
    problem: { readonly offset: number; readonly text: string; readonly cutShort?: boolean },
  ) {
    super(`${path}, offset ${problem.offset}: ${problem.text}`);
    this.path = path;
    this.offset = problem.offset;
    this.cutShort = problem.cutShort ?? false;
  }
}

/** A capture whose form is good. */
export interface PcapScan {
  readonly path: string;
  readonly fileBytes: number;
  /** The file's own limit on captured bytes of a frame. */
  readonly snapLength: number;
  /** Captured bytes of each frame, in the order of the file. */
  readonly capturedBytes: Uint32Array;
}

/** Scans a file by its path. @throws PcapError if anything but good Ethernet pcap is found */
export function scanPcap(path: string): PcapScan {
  const fd = openCapture(path);
  try {
    return scanOpenPcap(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** Opens a file for reading. @throws PcapError that names the reason */
export function openCapture(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    const text = reason === 'ENOENT' ? 'there is no such file' : `it cannot be opened (${reason})`;
    throw new PcapError(path, { offset: 0, text });
  }
}

/** Scans an open file from its begin. @throws PcapError */
export function scanOpenPcap(fd: number, path: string): PcapScan {
  const status = fstatSync(fd);
  if (!status.isFile()) {
    throw new PcapError(path, { offset: 0, text: 'not a regular file; allowed: a pcap file' });
  }
  const file = new Window(fd, path, status.size);
  const snapLength = checkFileHeader(file);
  return { path, fileBytes: file.size, snapLength, capturedBytes: scanRecords(file, snapLength) };
}

/**
 * A file seen through a window that moves forward; reads what is asked for, not what is skipped.
 */
class Window {
  readonly path: string;
  readonly size: number;
  littleEndian = true;
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #length = 0;

  constructor(fd: number, path: string, size: number) {
    this.#fd = fd;
    this.path = path;
    this.size = size;
  }

  uint32(offset: number): number {
    return this.#view.getUint32(this.#place(offset, 4), this.littleEndian);
  }

  uint16(offset: number): number {
    return this.#view.getUint16(this.#place(offset, 2), this.littleEndian);
  }

  refuse(offset: number, text: string): never {
    throw new PcapError(this.path, { offset, text });
  }

  /** Refuses a file that ends within the record that begins at `offset`. */
  refuseCut(offset: number, text: string): never {
    throw new PcapError(this.path, { offset, text, cutShort: true });
  }

  #place(offset: number, bytes: number): number {
    if (offset < this.#start || offset + bytes > this.#start + this.#length) {
      this.#start = offset;
      this.#length = readSync(this.#fd, this.#buffer, 0, WINDOW_BYTES, offset);
      if (this.#length < bytes) this.refuse(offset, 'the file became shorter while it was read');
    }
    return offset - this.#start;
  }
}

/** @returns the snap length */
function checkFileHeader(file: Window): number {
  if (file.size === 0)
    file.refuse(0, 'the file is empty; allowed: a pcap file of 24 bytes or more');
  if (file.size >= 4) checkMagic(file);
  if (file.size < FILE_HEADER_BYTES) {
    file.refuse(0, `only ${file.size} bytes; a pcap file begins with a header of 24 bytes`);
  }
  const version = `${file.uint16(4)}.${file.uint16(6)}`;
  if (version !== '2.4') file.refuse(4, `pcap version ${version}; allowed: 2.4`);
  const linkType = file.uint32(20);
  if (linkType !== LINKTYPE_ETHERNET) {
    const name = LINK_TYPES[linkType];
    const found = `link type ${linkType}${name === undefined ? '' : ` (${name})`}`;
    file.refuse(20, `${found}; allowed: 1 (Ethernet). Capture on one Ethernet interface`);
  }
  return file.uint32(16);
}

/** Finds the byte order from the first four bytes, or refuses them. */
function checkMagic(file: Window): void {
  const magic = file.uint32(0);
  if (magic === MAGIC_MICROSECONDS) return;
  file.littleEndian = false;
  const swapped = file.uint32(0);
  if (swapped === MAGIC_MICROSECONDS) return;
  const convert = `Convert it: editcap -F pcap ${file.path} converted.pcap`;
  const allowed = 'allowed: pcap with microseconds (magic number a1b2c3d4)';
  if (swapped === 0x0a0d0d0a) file.refuse(0, `the format is pcapng; ${allowed}. ${convert}`);
  if (magic === 0xa1b23c4d || swapped === 0xa1b23c4d) {
    file.refuse(0, `pcap with nanoseconds (magic number a1b23c4d); ${allowed}. ${convert}`);
  }
  if (magic === 0xa1b2cd34 || swapped === 0xa1b2cd34) {
    file.refuse(0, `Kuznetzov's variant of pcap (magic number a1b2cd34); ${allowed}. ${convert}`);
  }
  if (swapped >>> 16 === 0x1f8b) {
    file.refuse(0, `the file is compressed; ${allowed}. Unpack it: gunzip ${file.path}`);
  }
  const found = swapped.toString(16).padStart(8, '0');
  file.refuse(0, `unknown magic number ${found}; ${allowed}`);
}

function scanRecords(file: Window, snapLength: number): Uint32Array {
  let lengths = new Uint32Array(1024);
  let count = 0;
  let offset = FILE_HEADER_BYTES;
  while (offset < file.size) {
    const captured = checkRecord(file, { offset, number: count + 1, snapLength });
    if (count === lengths.length) {
      const longer = new Uint32Array(count * 2);
      longer.set(lengths);
      lengths = longer;
    }
    lengths[count] = captured;
    count += 1;
    offset += RECORD_HEADER_BYTES + captured;
  }
  return lengths.subarray(0, count);
}

/** @returns the captured bytes of a good record */
function checkRecord(
  file: Window,
  record: { readonly offset: number; readonly number: number; readonly snapLength: number },
): number {
  const { offset, number } = record;
  const left = file.size - offset;
  if (left < RECORD_HEADER_BYTES) {
    const text = `${left} bytes behind the last whole frame (${number - 1}); allowed: none, or a`;
    file.refuseCut(offset, `${text} record with its 16-byte header. ${keepWhole(file)}`);
  }
  const microseconds = file.uint32(offset + 4);
  const captured = file.uint32(offset + 8);
  const original = file.uint32(offset + 12);
  const limit = record.snapLength === 0 ? SNAP_LENGTH : Math.min(record.snapLength, SNAP_LENGTH);
  const frame = `frame ${number}`;
  if (captured === 0 || captured > limit) {
    const source = limit === SNAP_LENGTH ? 'for Ethernet' : 'by the snap length of the file';
    file.refuse(
      offset,
      `${frame} claims ${captured} captured bytes; allowed ${source}: 1 to ${limit}`,
    );
  }
  if (captured > original) {
    const text = `${frame} claims ${captured} captured bytes of ${original}`;
    file.refuse(offset, `${text}; allowed: at most the length on the wire`);
  }
  if (microseconds >= MICROSECONDS) {
    file.refuse(offset, `${frame} is at ${microseconds} microseconds; allowed: 0 to 999999`);
  }
  if (captured > left - RECORD_HEADER_BYTES) {
    const text = `${frame} is cut short: ${left - RECORD_HEADER_BYTES} of its ${captured} bytes are`;
    file.refuseCut(offset, `${text} in the file. ${keepWhole(file)}`);
  }
  return captured;
}

const keepWhole = (file: Window): string =>
  `To keep the whole frames: editcap -F pcap ${file.path} whole.pcap`;
