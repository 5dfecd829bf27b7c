// What lblc and lblcr remember: to which reals the flows of a destination went. It lies in the
// schedule's state: 256 sets of four entries, and of a set that is full the entry gives way that
// was used longest ago. (IPVS has no such limit, and clears old entries away beyond 16,384.)
// An entry: the destination, when it was used, its reals as index + 1 with the latest first and 0
// behind the last, and when its reals changed.
import { hashWord } from './hash.ts';
import type { Arrival, Schedule } from './scheduler.ts';

const SETS = 256;
const WAYS = 4;
const VIP = 0;
const USED_MS = 1;
export const REALS = 2;
/** Words of an entry beside its reals. */
const OTHER_WORDS = 3;

/** An entry that was not used for so long is forgotten: IPVS's `lblc_expiration`. */
export const EXPIRATION_MS = 24 * 60 * 60 * 1000;

export const createEntries = (reals: number): Int32Array =>
  new Int32Array(SETS * WAYS * (OTHER_WORDS + reals));

/** Words of an entry. */
const wordsOf = ({ state }: Schedule): number => state.length / (SETS * WAYS);
/** Where an entry's reals end, and its last change stands. */
export const changedAt = (schedule: Schedule, entry: number): number =>
  entry + wordsOf(schedule) - 1;

/**
 * The entry of the arrival's destination, marked as used; without a real if it is new.
 * @returns its offset in the state
 */
export function useEntry(schedule: Schedule, { vip, nowMs }: Arrival): number {
  const { state, seed } = schedule;
  const words = wordsOf(schedule);
  const set = (hashWord(vip, seed) & (SETS - 1)) * WAYS * words;
  let entry = set;
  let longest = -1;
  for (let at = set; at < set + WAYS * words; at += words) {
    const unusedMs = state[at + REALS] === 0 ? Infinity : (nowMs - state[at + USED_MS]!) >>> 0;
    const isHit = state[at + VIP] === vip && unusedMs !== Infinity;
    if (!isHit && unusedMs <= longest) continue;
    entry = at;
    longest = unusedMs;
    if (isHit) break;
  }
  if (state[entry + VIP] !== vip || longest > EXPIRATION_MS) state.fill(0, entry, entry + words);
  state[entry + VIP] = vip;
  state[entry + USED_MS] = nowMs;
  return entry;
}

/** Takes over what the previous schedule remembers of the reals that are still there. */
export function keepEntries(schedule: Schedule, previous: Schedule, moved: Int32Array): void {
  const { state } = schedule;
  const words = wordsOf(schedule);
  state.set(previous.state);
  for (let entry = 0; entry < state.length; entry += words) {
    const end = changedAt(schedule, entry);
    let to = entry + REALS;
    for (let at = to; at < end && state[at]! > 0; at++) {
      const index = moved[state[at]! - 1]!;
      if (index >= 0) state[to++] = index + 1;
    }
    state.fill(0, to, end);
  }
}
