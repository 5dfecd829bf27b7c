// Who speaks to a real by fullnat: the client's address and port become one of a pool that is the
// director's own, so that the real's answers come back here whatever routes it has. A pool port is
// taken as long as a flow to the same address, port and protocol of a real has it, which the flow
// table knows by the key of the flow's replies: there is nothing to give back. Of several workers
// each takes addresses that no other does, so that the replies come back to it; or ports, where
// there are fewer addresses than workers. A client keeps its pool address where it can; its port
// begins at a keyed hash of the flow, so that a client that comes again in time gets the same, and
// nobody outside can tell the next.
import { hashOfHandle } from '../flow/address-book.ts';
import { findFlow, hashKey, isOver, META, RECORD_WORDS, removeFlow } from '../flow/flow-table.ts';
import { FROM_CLIENT, HALF_OPEN_STATES, isEnded } from '../flow/tcp-states.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import type { Director } from './director.ts';
import { isIpv6 } from './packet.ts';
import { IPV6_BIT } from './table.ts';

/** How many ports are looked at for one flow: nine of ten in use cost fifty looks. */
const SEARCH = 512;
/** At least so many of each address, so that one in use up to the last port hinders nobody. */
const LEAST_SEARCH = 8;

/**
 * Gives the new flow an address and a port of the pool; its real and real's port are known. If all
 * are in use that were looked at, that of a connection that is closed and only waits for its last
 * packets is taken over: its real has seen the end of it, and takes the SYN of another. Or else
 * that of one that is half open; not of UDP, whose late answers somebody else would get.
 * @returns false if there is none, as always of a family of which the pool has no addresses
 */
export function takeSource(director: Director): boolean {
  const { flows, newFlow } = director;
  const addresses = ownAddresses(director);
  const portCount = ownPorts(director);
  const { real, ports, protocol } = newFlow;
  const client = stableClient(director);
  const first = hashKey(flows.seed, client, 0, 0, 0) >>> 0;
  const start = hashKey(flows.seed, client, real, ports, protocol) >>> 0;
  const looks = Math.min(portCount, Math.max(LEAST_SEARCH, Math.floor(SEARCH / addresses)));
  const isTcp = (protocol & ~IPV6_BIT) === PROTOCOL_TCP;
  let [endedLook, halfOpenLook] = [-1, -1];
  for (let look = 0; look < looks * addresses; look++) {
    setSource(director, first + Math.floor(look / looks), start + (look % looks));
    const holder = findHolder(director);
    if (holder < 0) return true;
    const state = (flows.records[holder * RECORD_WORDS + META] as number) & 0xff;
    if (endedLook < 0 && isEnded(state, FROM_CLIENT)) endedLook = look;
    if (halfOpenLook < 0 && isTcp && (HALF_OPEN_STATES >>> state) & 1) halfOpenLook = look;
  }
  const taken = endedLook < 0 ? halfOpenLook : endedLook;
  if (taken < 0) return false;
  setSource(director, first + Math.floor(taken / looks), start + (taken % looks));
  removeFlow(flows, findHolder(director));
  return true;
}

/** The addresses of the pool that can stand for the client of the packet. */
export const sourcesFor = ({ table: { pool }, packet }: Director): Int32Array =>
  isIpv6(packet) ? pool.addresses6 : pool.addresses;

/** What is the same whenever a client comes, as a handle of IPv6 is not. */
const stableClient = ({ flows, newFlow, packet }: Director): number =>
  isIpv6(packet) ? hashOfHandle(flows.book, newFlow.client) : newFlow.client;

/** Among how many workers the addresses are shared out, each of which has all of its ports. */
const addressSharers = (director: Director): number =>
  sourcesFor(director).length < director.workers ? 1 : director.workers;

/** Among how many the ports of each address are, where the addresses are too few. */
const portSharers = (director: Director): number => director.workers / addressSharers(director);

/** How many addresses of the pool are this worker's: those whose index leaves its number over. */
const ownAddresses = (director: Director): number => {
  const sharers = addressSharers(director);
  const { length } = sourcesFor(director);
  return Math.floor((length - 1 - (director.worker % sharers)) / sharers) + 1;
};

/** How many ports of each are this worker's: those that leave its number over. */
const ownPorts = (director: Director): number =>
  Math.floor((director.table.pool.portCount - 1 - firstPort(director)) / portSharers(director)) + 1;

/** How many ports come before the first one of this worker. */
const firstPort = (director: Director): number => {
  const sharers = portSharers(director);
  return (
    ((director.worker % sharers) + sharers - (director.table.pool.firstPort % sharers)) % sharers
  );
};

function setSource(director: Director, address: number, port: number): void {
  const { table, newFlow, worker } = director;
  const sharers = addressSharers(director);
  const own = (worker % sharers) + (address % ownAddresses(director)) * sharers;
  newFlow.local = sourcesFor(director)[own] as number;
  const skipped = firstPort(director) + (port % ownPorts(director)) * portSharers(director);
  newFlow.replyPorts = (newFlow.replyPorts & ~0xffff) | (table.pool.firstPort + skipped);
}

/** The flow that has this source towards this real, or -1. */
function findHolder({ flows, newFlow, nowMs }: Director): number {
  const { real, local, replyPorts, protocol } = newFlow;
  const found = findFlow(flows, real, local, replyPorts, protocol);
  return found < 0 || isOver(flows, found >>> 1, nowMs) ? -1 : found >>> 1;
}
