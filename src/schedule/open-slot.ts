// The slot of a hash whose real is open. A real that is closed (unreachable, or full) keeps its
// slots, so that nobody else's flows move; with `fallback` each of its flows draws another slot,
// and another, from its own hash: they spread over all others, and directors that see the same
// reals closed agree. So do the fallbacks of sh and mh in IPVS.
import { hashClient, hashWord } from './hash.ts';
import { isClosed } from './load.ts';
import {
  type Arrival,
  type HashFlags,
  type Load,
  NOBODY,
  type Schedule,
  type SchedulerName,
  type Slots,
} from './scheduler.ts';

/** Of a thousand flows one at most draws so often in vain while a tenth of the slots is open. */
const DRAWS = 64;

/** @returns an index, or -1 if there are no slots, all are closed, or this one is, for good */
export function openSlot({ slots, seed, fallback }: Schedule, hash: number, load: Load): number {
  if (slots.length === 0) return -1;
  let slot = (hash >>> 0) % slots.length;
  let drawn = hash;
  for (let draw = 0; draw < DRAWS; draw++) {
    const index = slots[slot]!;
    if (index === NOBODY) return -1;
    if (!isClosed(load, index)) return index;
    if (fallback !== true) return -1;
    drawn = hashWord(drawn, seed);
    slot = (drawn >>> 0) % slots.length;
  }
  for (let step = 0; step < slots.length; step++) {
    const index = slots[(slot + step) % slots.length]!;
    if (!isClosed(load, index)) return index;
  }
  return -1;
}

/** How sh and maglev choose. */
export function chooseByClient(schedule: Schedule, arrival: Arrival, load: Load): number {
  return openSlot(schedule, hashClient(schedule, arrival), load);
}

/** @param slots the index of the real of each slot, or NOBODY */
export function slotSchedule(
  scheduler: SchedulerName,
  slots: Slots,
  seed: number,
  { port, fallback }: HashFlags,
): Schedule {
  const flags = { hashesPort: port === true, fallback: fallback === true };
  return { scheduler, slots, state: new Int32Array(0), seed, ...flags };
}
