// Captures made on the fly for the tests: bytes of a pcap file, field by field, so that each of
// them can be made wrong on its own.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface HeaderFields {
  readonly magic?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly snapLength?: number;
  readonly linkType?: number;
  readonly bigEndian?: boolean;
}

export interface RecordFields {
  readonly seconds?: number;
  readonly microseconds?: number;
  readonly captured?: number;
  readonly original?: number;
  readonly data?: Uint8Array;
  readonly bigEndian?: boolean;
}

export function fileHeader(fields: HeaderFields = {}): Buffer {
  const bytes = Buffer.alloc(24);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const littleEndian = fields.bigEndian !== true;
  view.setUint32(0, fields.magic ?? 0xa1b2c3d4, littleEndian);
  view.setUint16(4, fields.major ?? 2, littleEndian);
  view.setUint16(6, fields.minor ?? 4, littleEndian);
  view.setUint32(16, fields.snapLength ?? 65_535, littleEndian);
  view.setUint32(20, fields.linkType ?? 1, littleEndian);
  return bytes;
}

export function record(fields: RecordFields = {}): Buffer {
  const data = fields.data ?? new Uint8Array(60).fill(0xa5);
  const bytes = Buffer.alloc(16 + data.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const littleEndian = fields.bigEndian !== true;
  const captured = fields.captured ?? data.length;
  view.setUint32(0, fields.seconds ?? 1_700_000_000, littleEndian);
  view.setUint32(4, fields.microseconds ?? 250_000, littleEndian);
  view.setUint32(8, captured, littleEndian);
  view.setUint32(12, fields.original ?? captured, littleEndian);
  bytes.set(data, 16);
  return bytes;
}

export const newDirectory = (): string => mkdtempSync(join(tmpdir(), 'furiwake-pcap-'));

/** Writes a file of these parts. @returns its path */
export function capture(directory: string, name: string, parts: readonly Buffer[]): string {
  const path = join(directory, name);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}
