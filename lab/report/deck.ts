// The figures of the two slide decks that this project comes from, to stand beside what was
// measured here. They were taken on other machines, with other data and another balancer (an
// internal ELB of 2013), so they have axes of their own; only the ratios compare.
// Source: "Load balancing with an internal ELB", con_mame, 2013-02-18.

/** Queries a second of MySQL's read slaves, by the number of connections. */
export const DECK_SQL: readonly {
  readonly connections: number;
  readonly direct: number;
  readonly balanced: number;
}[] = [
  { connections: 100, direct: 1897.5, balanced: 1703.5 },
  { connections: 200, direct: 2075.1, balanced: 1696.3 },
  { connections: 300, direct: 2286.7, balanced: 1897.3 },
  { connections: 400, direct: 3098.5, balanced: 2033.9 },
  { connections: 500, direct: 3255.8, balanced: 2110.2 },
  { connections: 600, direct: 3341.2, balanced: 2687.9 },
  { connections: 700, direct: 3923.7, balanced: 2886.3 },
  { connections: 800, direct: 4812.3, balanced: 3224.3 },
];

export const DECK_SOURCE =
  '“Load balancing with an internal ELB”, con_mame, 2013: MySQL, about a hundred million rows';

/** Of twemproxy, commands a second: without balancer, and by one that was not warmed up. */
export const DECK_CACHE =
  'The deck’s cache fell from 50,000 to 60,000 commands a second to 3,000 to 4,200 behind a ' +
  'balancer that had not been warmed up.';
