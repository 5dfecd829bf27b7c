// TCP segments and UDP datagrams as the hosts of a simulation see them: taken apart, with their
// sums looked at by the naive checksum, and built; cut into fragments, and put together again.

import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import { formatIpv4, formatMac } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import { cutUp, putTogether } from '../packets/pieces.ts';
import { naiveL4Checksum, naiveSum } from '../wire/naive-checksum.ts';

export interface Segment {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly protocol: 6 | 17;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** 0 for UDP. */
  readonly flags: number;
  /** Of TCP; a client has its connection's number there, which nobody on the way changes. */
  readonly sequence?: number;
  /** Three numbers: whose connection, which request, and who answers it; or none. */
  readonly payload: Uint8Array;
}

const L3 = ethernet.HEADER_BYTES;

/** Takes an IPv4 frame apart; undefined if its sums are wrong. */
export function readSegment(bytes: Uint8Array): Segment | undefined {
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (ipv4.check(frame, L3, bytes.length) !== 0) return undefined;
  const header = ipv4.parse(frame, L3);
  const l4 = L3 + ipv4.headerBytes(frame, L3);
  const end = L3 + ipv4.totalBytes(frame, L3);
  const isTcp = header.protocol === ipv4.PROTOCOL_TCP;
  const checksumOffset = isTcp ? tcp.CHECKSUM_OFFSET : udp.CHECKSUM_OFFSET;
  const good = naiveL4Checksum({ frame, l3: L3, l4, end, checksumOffset });
  if (naiveSum(bytes.subarray(L3, l4)) !== 0xffff) return undefined;
  if (frame.getUint16(l4 + checksumOffset) !== (good || (isTcp ? 0 : 0xffff))) return undefined;
  const { sourcePort, destinationPort, payload } = isTcp
    ? tcp.parse(frame, l4, end)
    : udp.parse(frame, l4);
  return {
    sourceMac: formatMac(ethernet.sourceHigh(frame, 0), ethernet.sourceLow(frame, 0)),
    destinationMac: formatMac(
      ethernet.destinationHigh(frame, 0),
      ethernet.destinationLow(frame, 0),
    ),
    protocol: isTcp ? 6 : 17,
    source: formatIpv4(header.source),
    destination: formatIpv4(header.destination),
    flags: isTcp ? tcp.flags(frame, l4) : 0,
    sequence: isTcp ? frame.getUint32(l4 + 4) : 0,
    ...{ sourcePort, destinationPort, payload },
  };
}

export const buildSegment = (segment: Segment): Uint8Array =>
  segment.protocol === 6 ? tcpFrame(segment) : udpFrame(segment);

/** The frame whole, or in fragments of eight bytes. */
export const inPieces = (frame: Uint8Array, identification: number): Uint8Array[] =>
  identification === 0 ? [frame] : cutUp(frame, [8], identification);

export const isPiece = (bytes: Uint8Array): boolean =>
  ipv4.isFragment(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), L3);

/** Keeps fragments until their packet is whole. */
export interface Reassembly {
  /** The packet that is whole with this frame, or undefined. */
  add(frame: Uint8Array): Uint8Array | undefined;
}

export function createReassembly(): Reassembly {
  const waiting = new Map<string, Map<number, Uint8Array>>();
  return {
    add(frame) {
      if (!isPiece(frame)) return frame;
      const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
      const { source, identification, fragmentOffsetBytes } = ipv4.parse(view, L3);
      const key = `${source} ${identification}`;
      const pieces = waiting.get(key) ?? new Map<number, Uint8Array>();
      waiting.set(key, pieces.set(fragmentOffsetBytes, frame));
      try {
        return putTogether([...pieces.values()]);
      } catch {
        return undefined;
      }
    },
  };
}

/** What a request or a reply says. */
export interface Message {
  readonly connection: number;
  readonly request: number;
  /** Index of the real that answers; -1 in a request. */
  readonly real: number;
}

export const encodeMessage = ({ connection, request, real }: Message): Uint8Array =>
  new Uint8Array(Int32Array.of(connection, request, real).buffer);

export function decodeMessage(payload: Uint8Array): Message | undefined {
  if (payload.length !== 12) return undefined;
  const [connection = 0, request = 0, real = 0] = new Int32Array(payload.slice().buffer);
  return { connection, request, real };
}
