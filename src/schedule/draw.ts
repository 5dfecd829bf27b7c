// Random numbers for the schedulers that draw lots: mulberry32 (Tommy Ettinger, public domain), one
// word of state in the schedule itself, so that the same seed and reals give the same draws.
import { hashText } from './hash.ts';
import { isClosed } from './load.ts';
import type { Arrival, Load, Schedule, ScheduledReal } from './scheduler.ts';

/** The state to start with; services with other reals draw other numbers. */
export function drawState(reals: readonly ScheduledReal[], seed: number): Int32Array {
  return Int32Array.of(hashText(reals.map(({ key }) => key).join(' '), seed));
}

/** Goes on with the numbers of the schedule before. */
export function keepDrawing({ state }: Schedule, previous: Schedule): void {
  state.set(previous.state);
}

/** A number from 0 up to, but not including, 1. */
function draw(state: Int32Array): number {
  const next = (state[0]! + 0x6d2b79f5) | 0;
  state[0] = next;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
}

/** Draws an index, each as often as its weight says; -1 if there is no weight above 0. */
export function drawByWeight({ slots, state }: Schedule, _: Arrival, load: Load): number {
  let total = 0;
  for (let index = 0; index < slots.length; index++) {
    if (!isClosed(load, index)) total += slots[index]!;
  }
  let rest = draw(state) * total;
  for (let index = 0; index < slots.length; index++) {
    if (isClosed(load, index)) continue;
    rest -= slots[index]!;
    if (rest < 0) return index;
  }
  return -1;
}
