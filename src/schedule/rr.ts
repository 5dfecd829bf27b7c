// Round robin: every real that takes new flows in turn, in the order of the list; weights other
// than 0 are all the same to it. `slots` holds the indices of those reals, `state` the position of
// the next one.
import type { Schedule, ScheduledReal, Scheduler } from './scheduler.ts';

function build(reals: readonly ScheduledReal[], options: { readonly seed: number }): Schedule {
  const takers = [...reals.keys()].filter((index) => reals[index]!.weight > 0);
  return {
    scheduler: 'rr',
    slots: Int32Array.from(takers),
    state: new Int32Array(1),
    seed: options.seed,
  };
}

function choose(schedule: Schedule): number {
  const { slots, state } = schedule;
  if (slots.length === 0) return -1;
  const position = state[0]!;
  state[0] = position + 1 === slots.length ? 0 : position + 1;
  return slots[position]!;
}

export const rr: Scheduler = {
  name: 'rr',
  summary: 'round robin: the reals in turn',
  consistent: false,
  build,
  choose,
};
