// The way of a TCP or UDP packet whose headers have been checked: by its flow if there is one, else
// by its service; and what its sender is told if it can go neither way.
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { cutFrame } from './cut-frame.ts';
import type { Director } from './director.ts';
import { forwardKnown, NO_TIME_TO_LIVE, NOT_KNOWN, NOT_RESOLVED, TOO_LONG } from './known-flow.ts';
import { ANY_LENGTH, mayCut, segmentBytes } from './length.ts';
import { processNew } from './open-flow.ts';
import { readIpv4 } from './packet.ts';
import { dropped } from './refuse.ts';
import { MOST_SEGMENTS, segmentFrame, segmentPayload } from './segment-frame.ts';
import { tellTimeExceeded, tellTooBig } from './tell-sender.ts';
import { kindOf, SEND, type Verdict } from './verdict.ts';

const REAL_UNRESOLVED = DROP['real-unresolved'];
const TTL_EXPIRED = DROP['ttl-expired'];
const TOO_BIG = DROP['too-big'];
const TOO_MANY_SEGMENTS = DROP['too-many-segments'];

/** @param l4 offset of the TCP or UDP header; of a fragment, the first one */
export function processFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const known = forwardKnown(director, frame, at, l4, end, arm, offload);
  if (known >= 0) return known;
  let verdict = known;
  if (known === NOT_KNOWN) {
    readIpv4(director.packet, frame, at + ethernet.HEADER_BYTES);
    verdict = processNew(director, frame, at, l4, end, arm, offload);
  }
  if (verdict === NOT_RESOLVED) return dropped(director, REAL_UNRESOLVED);
  if (verdict === TOO_LONG) return processTooLong(director, frame, at, l4, end, arm, offload);
  if (verdict !== NO_TIME_TO_LIVE) return verdict;
  tellTimeExceeded(director, frame, at, arm);
  return dropped(director, TTL_EXPIRED);
}

/**
 * A packet that its flow's next arm cannot send, or the real's tunnel cannot take: cut if it may be
 * (RFC 791, 3.2), a super-frame into its segments, else told of.
 */
function processTooLong(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const { narrowMtu } = director;
  const isSuper = segmentBytes(offload) !== 0;
  const payload = isSuper ? segmentPayload(frame, l3, l4, offload, narrowMtu) : 0;
  if (isSuper ? payload === 0 : !mayCut(frame, l3)) {
    tellTooBig(director, frame, at, arm, narrowMtu);
    return dropped(director, TOO_BIG);
  }
  if (isSuper && ipv4.totalBytes(frame, l3) > payload * MOST_SEGMENTS) {
    return dropped(director, TOO_MANY_SEGMENTS);
  }
  const verdict = forwardKnown(director, frame, at, l4, end, arm, offload | ANY_LENGTH);
  if (kindOf(verdict) !== SEND) return dropped(director, TOO_BIG);
  if (isSuper) return segmentFrame(director, frame, at, l4, verdict, payload, offload & 1);
  return cutFrame(director, frame, at, verdict, offload & 1);
}
