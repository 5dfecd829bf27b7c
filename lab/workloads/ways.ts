// What both workloads of the talks know of their ways: the VIP of each, who carries it, and the
// order in which they take turns.
import type { WorkloadPath } from '../compare/result.ts';
import type { BalancedWay } from '../compare/way-ratios.ts';
import { DSR_VIP, FORWARD_VIP, NAT_VIP, SPREAD_VIP } from '../topologies/three-ways.ts';

export const VIP_OF: Readonly<Record<BalancedWay, string>> = {
  ...{ dsr: DSR_VIP, nat: NAT_VIP, 'dsr-tc': DSR_VIP, 'nat-tc': NAT_VIP },
  ...{ fwd: FORWARD_VIP, spread: SPREAD_VIP },
};

/** The datapath of the director that a way needs, or undefined. */
export function datapathOf(path: WorkloadPath): 'ring' | 'tc' | undefined {
  if (path === 'dsr' || path === 'nat') return 'ring';
  return path === 'dsr-tc' || path === 'nat-tc' ? 'tc' : undefined;
}

/** Ways of one group come one after the other, so that a director serves two before it ends. */
const GROUPS: readonly (readonly WorkloadPath[])[] = [
  ['direct', 'spread'],
  ['dsr', 'nat'],
  ['dsr-tc', 'nat-tc'],
  ['fwd'],
];
/** For four groups: each step is another distance from the last (1, 2, 3): no pair meets twice. */
const STEPS = [0, 1, 3, 2] as const;

/**
 * The order of one turn. In four turns each group comes first, second, third and last once, and
 * once right after each other one (Williams 1949, a balanced Latin square); within a group either
 * way comes first in two of them.
 */
export function waysInTurn(turn: number, ways: readonly WorkloadPath[]): WorkloadPath[] {
  const isReversed = ((turn >> 1) & 1) === 1;
  return STEPS.flatMap((step) => {
    const group = GROUPS[(turn + step) % GROUPS.length]!;
    return isReversed ? group.toReversed() : group;
  }).filter((way) => ways.includes(way));
}
