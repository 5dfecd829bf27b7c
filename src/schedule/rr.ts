// Round robin: every real that takes new flows in turn, in the order of the list; weights other
// than 0 are all the same to it. `slots` holds the indices of those reals, `state` the position of
// the next one.
import { isClosed } from './load.ts';
import type {
  Arrival,
  BuildOptions,
  Load,
  Schedule,
  ScheduledReal,
  Scheduler,
} from './scheduler.ts';

function build(reals: readonly ScheduledReal[], { seed }: BuildOptions): Schedule {
  const takers = [...reals.keys()].filter((index) => reals[index]!.weight > 0);
  const slots = Int32Array.from(takers);
  return { scheduler: 'rr', slots, state: new Int32Array(1), seed, hashesPort: false };
}

function choose({ slots, state }: Schedule, _: Arrival, load: Load): number {
  for (let step = 0; step < slots.length; step++) {
    const position = state[0]!;
    state[0] = position + 1 === slots.length ? 0 : position + 1;
    if (!isClosed(load, slots[position]!)) return slots[position]!;
  }
  return -1;
}

/** The turn is with the real whose turn it was, or with the next one that is still there. */
function takeOver({ slots, state }: Schedule, previous: Schedule, moved: Int32Array): void {
  const count = previous.slots.length;
  for (let step = 0; step < count; step++) {
    const index = previous.slots[(previous.state[0]! + step) % count]!;
    const position = slots.indexOf(moved[index]!);
    if (position < 0) continue;
    state[0] = position;
    return;
  }
}

export const rr: Scheduler = {
  name: 'rr',
  summary: 'round robin: the reals in turn',
  consistent: false,
  build,
  choose,
  takeOver,
};
