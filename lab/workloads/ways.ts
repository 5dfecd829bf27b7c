// What both workloads of the talks know of their ways: the VIP of each, who carries it, and the
// order in which they take turns.
import { WORKLOAD_PATHS, type WorkloadPath } from '../compare/result.ts';
import type { BalancedWay } from '../compare/way-ratios.ts';
import { DSR_VIP, FORWARD_VIP, NAT_VIP } from '../topologies/three-ways.ts';

export const VIP_OF: Readonly<Record<BalancedWay, string>> = {
  ...{ dsr: DSR_VIP, nat: NAT_VIP, fwd: FORWARD_VIP },
};

export const needsDirector = (path: WorkloadPath): boolean => path === 'dsr' || path === 'nat';

/** For four ways: each step is another distance from the last (1, 2, 3), so no pair meets twice. */
const STEPS = [0, 1, 3, 2] as const;

/**
 * The order of one turn. In four turns each way comes first, second, third and last once, and once
 * right after each other one (Williams 1949, a balanced Latin square).
 */
export const waysInTurn = (turn: number): WorkloadPath[] =>
  STEPS.map((step) => WORKLOAD_PATHS[(turn + step) % WORKLOAD_PATHS.length]!);
