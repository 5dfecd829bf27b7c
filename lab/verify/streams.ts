// The data of one way of a flow as one point saw it: a TCP stream put together by sequence number,
// or the datagrams of UDP. Two points saw the same data if these are equal.
import { createHash } from 'node:crypto';
import { type Frame, payloadOf, SYN, TCP } from './dissect.ts';

export interface Stream {
  /** Without a gap from its start. */
  readonly bytes: number;
  readonly data: Uint8Array;
}

/** The TCP stream from the byte after the SYN to the first gap; empty if there is no SYN. */
export function streamOf(frames: readonly Frame[]): Stream {
  const start = frames.find((frame) => (frame.packet?.flags ?? 0) & SYN)?.packet?.sequence;
  const parts: { at: number; data: Uint8Array }[] = [];
  for (const frame of frames) {
    const packet = frame.packet;
    if (start === undefined || packet === undefined || packet.payloadHash === '') continue;
    // SYN and payload in one segment (TCP Fast Open) would begin here; ordinary data one later.
    const skip = packet.flags & SYN ? 0 : 1;
    parts.push({ at: (packet.sequence - start - skip) >>> 0, data: payloadOf(frame) });
  }
  return assemble(parts.sort((a, b) => a.at - b.at));
}

function assemble(parts: readonly { at: number; data: Uint8Array }[]): Stream {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (const { at, data } of parts) {
    // A keep-alive carries one byte from before the stream; its offset wraps round to 2^32 - 1.
    if (at > bytes) break;
    const fresh = data.subarray(bytes - at);
    if (fresh.length === 0 || at + data.length <= bytes) continue;
    pieces.push(fresh);
    bytes += fresh.length;
  }
  return { bytes, data: Buffer.concat(pieces) };
}

/** What two points saw of the same data. */
export interface Comparison {
  readonly equal: boolean;
  /** That both saw. */
  readonly bytes: number;
}

/**
 * Compares what was sent with what was received. For TCP the receiver may lack the end (a capture
 * or a connection may stop in flight), for UDP datagrams; what it has must be what was sent.
 */
export function compareData(sent: readonly Frame[], received: readonly Frame[]): Comparison {
  const tcp = (sent[0] ?? received[0])?.packet?.protocol === TCP;
  return tcp
    ? compareStreams(streamOf(sent), streamOf(received))
    : compareDatagrams(sent, received);
}

function compareStreams(sent: Stream, received: Stream): Comparison {
  const bytes = Math.min(sent.bytes, received.bytes);
  const hash = (stream: Stream) => hashOf(stream.data.subarray(0, bytes));
  const equal = received.bytes <= sent.bytes && hash(received) === hash(sent);
  return { equal: equal && (bytes > 0 || sent.bytes === 0), bytes };
}

function compareDatagrams(sent: readonly Frame[], received: readonly Frame[]): Comparison {
  const waiting = new Map<string, number>();
  for (const frame of sent) {
    const hash = frame.packet?.payloadHash ?? '';
    waiting.set(hash, (waiting.get(hash) ?? 0) + 1);
  }
  let equal = true;
  let bytes = 0;
  for (const frame of received) {
    const hash = frame.packet?.payloadHash ?? '';
    const left = waiting.get(hash) ?? 0;
    if (left === 0) equal = false;
    waiting.set(hash, left - 1);
    bytes += frame.packet?.payloadBytes ?? 0;
  }
  return { equal: equal && received.length > 0, bytes };
}

const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
