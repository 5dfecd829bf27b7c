// Which reals take new flows just now. Every reason against it is a bit in `closed`, by real id, and
// schedulers pass over a real that has any. (A real that the configuration drains is another
// matter: its weight is 0 for its scheduler.)
import { NEIGHBOUR_UNREACHABLE } from './counters.ts';
import type { Director } from './director.ts';

/** Nobody answers for the real's address. */
export const DOWN = 1;

/** Brings the bits in line with what is known of the reals; to be called when that changes. */
export function judgeReals({ closed, table, neighbours }: Director): void {
  for (let id = 0; id < closed.length; id++) {
    const neighbour = table.realNeighbour[id] ?? -1;
    const isDown = neighbour >= 0 && neighbours.state[neighbour] === NEIGHBOUR_UNREACHABLE;
    closed[id] = ((closed[id] as number) & ~DOWN) | (isDown ? DOWN : 0);
  }
}
