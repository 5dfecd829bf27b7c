// The way of a TCP or UDP packet over IPv6 whose headers have been checked, and what its sender is
// told if it cannot be sent on: what process-flow.ts is for IPv4, without the cutting.
import { DROP } from '../wire/drop-reason.ts';
import type { Director } from './director.ts';
import { NO_TIME_TO_LIVE, NOT_KNOWN, NOT_RESOLVED, TOO_LONG } from './known-flow.ts';
import { forwardKnown6 } from './known-flow6.ts';
import { processNew } from './open-flow.ts';
import { endOnePacket, mayMove, processTooLong } from './process-flow.ts';
import { dropped } from './refuse.ts';
import { tellTimeExceeded6 } from './tell-sender6.ts';
import type { Verdict } from './verdict.ts';

const REAL_UNRESOLVED = DROP['real-unresolved'];
const TTL_EXPIRED = DROP['ttl-expired'];

/** @param l4 offset of the TCP or UDP header */
export function processFlow6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const verdict = processPiece6(director, frame, at, l4, end, arm, offload);
  endOnePacket(director);
  return verdict;
}

/** The same for a first fragment: its caller calls endOnePacket when the others know its flow. */
export function processPiece6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const known = forwardKnown6(director, frame, at, l4, end, arm, offload);
  director.isPassing = false;
  const isNew = known === NOT_KNOWN || (known === NOT_RESOLVED && mayMove(director, frame, l4));
  const verdict = isNew ? processNew(director, frame, at, l4, end, arm, offload) : known;
  if (verdict >= 0) return verdict;
  if (verdict === NOT_RESOLVED) return dropped(director, REAL_UNRESOLVED);
  if (verdict === TOO_LONG) {
    return processTooLong(director, frame, at, l4, end, arm, offload, isNew);
  }
  if (verdict !== NO_TIME_TO_LIVE) return verdict;
  tellTimeExceeded6(director, frame, at, arm);
  return dropped(director, TTL_EXPIRED);
}
