// What schedulers ask of the reals: who takes no flows just now, and the counts of flows. A real's
// overhead is that of IPVS (ip_vs_dest_conn_overhead in include/net/ip_vs.h): an active flow weighs
// as much as 256 others.
import type { Load, Slots } from './scheduler.ts';

/** True if the real at this index of the schedule takes no new flows just now. */
export function isClosed({ closed, ids, first }: Load, index: number): boolean {
  return closed[ids[first + index]!] !== 0;
}

/** Active flows of the real at this index of the schedule. */
export function activeOf({ active, ids, first }: Load, index: number): number {
  return active[ids[first + index]!]!;
}

/** 256 for each active flow and 1 for each other one. */
export function overheadOf({ flows, active, ids, first }: Load, index: number): number {
  const id = ids[first + index]!;
  return active[id]! * 255 + flows[id]!;
}

/**
 * The real with the least overhead for its weight; the first of equals, as in IPVS.
 * @param weights by index; 0 takes no new flows
 * @returns its index, or -1
 */
export function leastOverhead(weights: Slots, load: Load): number {
  let least = -1;
  let leastLoad = 0;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index]!;
    if (weight === 0 || isClosed(load, index)) continue;
    const overhead = overheadOf(load, index);
    // overhead / weight < leastLoad / weights[least], without a division.
    if (least < 0 || leastLoad * weight > overhead * weights[least]!) {
      least = index;
      leastLoad = overhead;
    }
  }
  return least;
}

/** True if a real has more active flows than its weight while another has not half of its own. */
export function isOverloaded(weights: Slots, load: Load, index: number): boolean {
  if (activeOf(load, index) <= weights[index]!) return false;
  for (let other = 0; other < weights.length; other++) {
    if (activeOf(load, other) * 2 < weights[other]!) return true;
  }
  return false;
}
