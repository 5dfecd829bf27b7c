// The way of nearly every packet: its flow is known, so it is rewritten in place and sent on. This
// is the one function that runs for each packet, and it is written for V8 (measured: `npm run bench
// core`): what it needs beside the flow lies flat in the director, and the words of a flow's record
// are literal numbers, since V8 loads and checks an imported constant anew at every use. The names
// beside them are those of flow-table.ts, which owns the layout. The mask tells V8 that no index
// overflows.
import { changeState, findFlow } from '../flow/flow-table.ts';
import { isEnded, nextState } from '../flow/tcp-states.ts';
import { chunkType } from '../wire/sctp.ts';
import type { Director } from './director.ts';
import { fitsTunnel, sendThroughTunnel } from './encapsulate.ts';
import { followSctp } from './follow-sctp.ts';
import { isTooLong } from './length.ts';
import { mendReply, mendRequest } from './rewrite.ts';
import type { Verdict } from './verdict.ts';

/** What forwardKnown gives instead of a verdict. */
export const NOT_KNOWN = -1;
export const NOT_RESOLVED = -2;
export const NO_TIME_TO_LIVE = -3;
export const TOO_LONG = -4;

/**
 * Sends a packet on if its flow is known; l3 is `at + 14`, and all its headers have been checked.
 * @param l4 offset of the TCP or UDP header
 * @param offload as a batch has it, or with ANY_LENGTH
 * @returns the verdict; or NOT_KNOWN, NOT_RESOLVED, NO_TIME_TO_LIVE or TOO_LONG, and the frame is
 * untouched
 */
export function forwardKnown(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const source = frame.getInt32(at + 26);
  const destination = frame.getInt32(at + 30);
  const timeProtocol = frame.getUint16(at + 22);
  const protocol = timeProtocol & 0xff;
  const found = findFlow(director.flows, source, destination, frame.getInt32(l4), protocol);
  if (found < 0) return NOT_KNOWN;
  if (end - at > director.safeFrameBytes) {
    if (isTooLong(director, frame, at, l4, offload, found)) return TOO_LONG;
  }
  return forwardFound(director, frame, at, l4, end, arm, offload, timeProtocol, found);
}

/** Like forwardKnown, for a packet whose flow has just been found, and that is not too long. */
export function forwardFound(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
  timeProtocol: number,
  found: number,
): Verdict {
  const { nowMs, ways } = director;
  const { records, timeoutsMs } = director.flows;
  const isReply = found & 1;
  const record = Math.imul(found >>> 1, 12) & 0x3fffffff;
  const meta = records[record + 5] as number; // META
  const method = meta & 0x70000; // NAT_BIT, FULLNAT_BIT, TUNNEL_BIT; 0 for DSR
  const nat = meta & 0x10000;
  const real = (records[record + 7] as number) & 0xffff; // IDS
  const out = ways[(real << 2) + 3] as number;
  const over = (((records[record + 6] as number) - nowMs) | 0) <= 0; // EXPIRES_MS
  if (over) return -1; // NOT_KNOWN
  if (out < 0) {
    if (out === -2) return -1; // GONE: NOT_KNOWN
    if (isReply === 0) return -2; // NO_WAY: NOT_RESOLVED
  }
  if (method !== 0) {
    if (nat === 0) {
      if (!fitsTunnel(director, frame, at, real, out, offload)) return -4; // TOO_LONG
    } else if (timeProtocol < 0x200) {
      return -3; // NO_TIME_TO_LIVE
    }
  }
  let state = meta & 0xff;
  if ((timeProtocol & 0xff) === 6) {
    const flags = frame.getUint8(l4 + 13);
    // FROM_SERVER, FROM_CLIENT or CLIENT_ONLY
    const direction = isReply !== 0 ? 1 : nat !== 0 ? 0 : 2;
    if ((flags & 0x12) === 0x02 && isReply === 0 && isEnded(state, direction)) return -1;
    const next = nextState(direction, flags, state);
    if (next !== state) changeState(director.flows, found >>> 1, next);
    state = next;
  } else if ((timeProtocol & 0xff) === 132) {
    const direction = isReply !== 0 ? 1 : nat !== 0 ? 0 : 2;
    const chunk = chunkType(frame, l4, end);
    state = followSctp(director.flows, found >>> 1, state, direction, chunk);
    if (state < 0) return -1; // NOT_KNOWN
  } else if (state === 12 && isReply === 0) {
    changeState(director.flows, found >>> 1, 11); // UDP_NEW, UDP
    state = 11;
  }
  records[record + 6] = (nowMs + (timeoutsMs[state] as number)) | 0;
  if (isReply !== 0) return sendReply(director, frame, at, l4, end, record, offload & 1);
  if (method !== 0) {
    if (nat === 0) {
      const protocol = timeProtocol & 0xff;
      return sendThroughTunnel(director, frame, at, l4, end, real, offload, protocol);
    }
    // A client behind two routers may change its way; the replies follow the latest request.
    records[record + 8] = frame.getInt32(at + 6); // HOP_HIGH
    records[record + 9] = frame.getUint16(at + 10) | (arm << 16); // HOP_LOW
    mendRequest(frame, at + 14, l4, records[record + 10] as number, offload & 1); // DELTAS
    frame.setInt32(at + 26, records[record + 11] as number); // LOCAL
    frame.setInt32(at + 30, records[record + 3] as number); // REAL
    const ports = records[record + 4] as number; // REPLY_PORTS
    frame.setInt32(l4, (ports << 16) | (ports >>> 16));
  }
  return sendRequest(director, frame, at, end, real, out);
}

/**
 * The most frequent case of all, a plain packet by DSR that changes no state. No call in it needs
 * anything kept, so V8 keeps all in registers (measured: `npm run bench core`).
 * @param word what the index of flows has for the packet's key, not 0; it may be another flow's
 * @returns the verdict; or -1 for any other case, and nothing is touched
 */
export function sendSteady(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  word: number,
  source: number,
  destination: number,
  ports: number,
  protocol: number,
): Verdict {
  const { nowMs, ways } = director;
  const { records, timeoutsMs } = director.flows;
  const record = Math.imul((word & 0xffffff) - 1, 12) & 0x3fffffff; // NUMBER_MASK
  const state = protocol === 6 ? 1 : 11; // ESTABLISHED, UDP
  // META: this protocol and state, and none of the methods' bits
  if (((records[record + 5] as number) & 0x7ffff) !== ((protocol << 8) | state)) return -1;
  if (records[record] !== source || records[record + 1] !== destination) return -1; // CLIENT, VIP
  if (records[record + 2] !== ports) return -1; // PORTS
  if (protocol === 6 && (frame.getUint8(at + 47) & 0x17) !== 0x10) return -1; // ACK alone
  const real = (records[record + 7] as number) & 0xffff; // IDS
  const out = ways[(real << 2) + 3] as number;
  if (out < 0 || (((records[record + 6] as number) - nowMs) | 0) <= 0) return -1; // EXPIRES_MS
  records[record + 6] = (nowMs + (timeoutsMs[state] as number)) | 0;
  return sendRequest(director, frame, at, end, real, out);
}

/** A request goes to its real: both MAC addresses, twelve bytes at the very front of the frame. */
function sendRequest(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  real: number,
  out: number,
): Verdict {
  const { ways, values } = director;
  const way = real << 2;
  frame.setInt32(at, ways[way] as number);
  frame.setInt32(at + 4, ways[way + 1] as number);
  frame.setInt32(at + 8, ways[way + 2] as number);
  const row = director.realRowsAt + (real << 4);
  values[row] = (values[row] as number) + 1; // REQUEST_PACKETS
  values[row + 1] = (values[row + 1] as number) + ((end - at) | 0); // REQUEST_BYTES
  return 1 | (out << 8); // SEND
}

/** A NAT reply becomes the VIP's own and goes to the station that the latest request came from. */
function sendReply(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  record: number,
  partial: number,
): Verdict {
  const { values, armMacHigh, armMacLow } = director;
  const { records } = director.flows;
  mendReply(frame, at + 14, l4, records[record + 10] as number, partial); // DELTAS
  frame.setInt32(at + 26, records[record + 1] as number); // VIP
  frame.setInt32(at + 30, records[record] as number); // CLIENT
  const ports = records[record + 2] as number; // PORTS
  frame.setInt32(l4, (ports << 16) | (ports >>> 16));
  const hop = records[record + 9] as number; // HOP_LOW
  const out = hop >>> 16;
  frame.setInt32(at, records[record + 8] as number); // HOP_HIGH
  frame.setUint16(at + 4, hop);
  frame.setInt32(at + 6, armMacHigh[out] as number);
  frame.setUint16(at + 10, armMacLow[out] as number);
  const row = director.realRowsAt + (((records[record + 7] as number) & 0xffff) << 4); // IDS
  values[row + 2] = (values[row + 2] as number) + 1; // REPLY_PACKETS
  values[row + 3] = (values[row + 3] as number) + (end - at); // REPLY_BYTES
  return 1 | (out << 8); // SEND
}
