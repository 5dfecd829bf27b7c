// What becomes of an address that a reload takes from the source pool: no new flow gets it, but the
// director answers for it (ARP, ping, replies of the reals) until the last flow that goes by it has
// ended, as a drained real keeps its old flows. Whoever else gets the address ends that at once.
import { allReals, type Config, type RetiredSource } from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import { fixedBits, holdsVip } from '../config/listening.ts';
import { canShare, workerOfSource } from '../datapath/fanout-program.ts';
import { GLOBAL } from '../director/counters.ts';
import type { Director } from '../director/director.ts';
import { IPV6_BIT, type Table } from '../director/table.ts';
import { FULLNAT_BIT, isOver, LOCAL, META, RECORD_WORDS } from '../flow/flow-table.ts';

/** More than a whole pool has are not waited for at a time. */
const MOST_RETIRED = 64;
/** Flows that one look passes over: of 262,144 all in less than a second. */
const LOOKS = 4096;

export interface RetiredSources {
  /** What is waited for, what left first first. */
  readonly kept: readonly RetiredSource[];
  /** What there is no room for: their flows end. */
  readonly givenUp: readonly string[];
}

/**
 * The addresses that leave the pool with a new configuration, and those that left it before. Of too
 * many those stay that left last.
 * @param own addresses of this host
 */
export function retiredSources(
  before: Config,
  next: Config,
  own: readonly string[],
): RetiredSources {
  const earlier = [...(before.retiredSources ?? []), ...liveSources(before)];
  const reals = next.services.flatMap(allReals);
  const isFree = ({ address }: RetiredSource) =>
    !next.sourcePool?.addresses.includes(address) &&
    !own.includes(address) &&
    !next.services.some(({ vips }) => vips.some((vip) => holdsVip(vip, address))) &&
    !reals.some((real) => real.address === address || real.gateway === address);
  const free = earlier.filter(isFree);
  let first = Math.max(0, free.length - MOST_RETIRED);
  while (first < free.length && !hasRoomForSources(next, free.slice(first))) first++;
  return {
    kept: free.slice(first),
    givenUp: free.slice(0, first).map(({ address }) => address),
  };
}

/**
 * Whether the program that deals frames out to workers has room for the VIPs, for the pool, and for
 * so many addresses that left it.
 */
export function hasRoomForSources(
  { workers, services, sourcePool }: Config,
  retired: readonly RetiredSource[],
): boolean {
  if (workers === 1) return true;
  const vips = [...new Set(services.flatMap((service) => service.vips))];
  const vips6 = vips.filter(isIpv6Text);
  const masked = vips6.filter((vip) => ((fixedBits(vip) ?? 0) & 31) !== 0).length;
  const left = retired.map(({ address }) => address);
  const sources = [...(sourcePool?.addresses ?? []), ...left];
  const of6 = sources.filter(isIpv6Text).length;
  const counts = [sources.length - of6, of6] as const;
  return canShare(vips.length - vips6.length, vips6.length, masked, counts);
}

/** The addresses of the pool, and whose each is. */
function liveSources({ sourcePool, workers }: Config): RetiredSource[] {
  const addresses = sourcePool?.addresses ?? [];
  return [false, true].flatMap((ofIpv6) =>
    addresses
      .filter((address) => isIpv6Text(address) === ofIpv6)
      .map((address, index, { length }) => ({
        address,
        worker: workerOfSource(index, length, workers),
      })),
  );
}

/**
 * Makes what counts the flows that still go by retired addresses, some records at a call; the count
 * is in the counters once all records have been looked at. Nothing is done where there are none.
 */
export function createRetiredWatch(director: Director): () => void {
  const { flows, counters } = director;
  let table: Table | undefined;
  let hand = 0;
  let found = 0;
  return () => {
    const { retired = [] } = director.table.pool;
    const { values } = counters;
    if (table !== director.table) {
      table = director.table;
      [hand, found] = [0, 0];
      // Not known yet, so not none.
      values[GLOBAL.retiredFlows] = Math.min(1, retired.length);
    }
    if (retired.length === 0) return;
    const end = Math.min(flows.fresh, hand + LOOKS);
    for (; hand < end; hand++) {
      const at = hand * RECORD_WORDS;
      const meta = flows.records[at + META] as number;
      if ((meta & FULLNAT_BIT) === 0 || isOver(flows, hand, director.nowMs)) continue;
      const source = flows.records[at + LOCAL] as number;
      const family = ((meta >>> 8) & IPV6_BIT) === 0 ? 4 : 6;
      if (retired.some((each) => each.address === source && each.family === family)) found++;
    }
    if (hand < flows.fresh) return;
    values[GLOBAL.retiredFlows] = found;
    [hand, found] = [0, 0];
  };
}
