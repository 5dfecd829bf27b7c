// What the configuration wants of the life of flows, beside which real they go to: timeouts,
// clients that stay with their real, reals that take no more or only so many, and who serves when
// nobody can. Read for new flows and between batches, never for a packet of a known flow.
import type { ClientShare } from '../flow/client-table.ts';
import { TIMEOUT_MS } from '../flow/tcp-states.ts';

/** New flows of a client go where its earlier ones went. */
export interface Persistence {
  /** How long after its latest new flow; and always while it has flows from then. */
  readonly timeoutMs: number;
  /** Clients that have so many leading bits in common are one; 96 more than that for IPv4. */
  readonly prefixLength: number;
  readonly family: 4 | 6;
}

/** What each client of a service may have. */
export interface ClientLimits extends ClientShare {
  /** As of Persistence. */
  readonly prefixLength: number;
}

/** A service that wants more than its scheduler does. */
export interface ServiceLife {
  readonly persistence: Persistence | undefined;
  /** Every datagram is a flow of its own, and none is remembered. */
  readonly onePacket: boolean;
  /** How long a real that is new or back gets less than its share; 0: not at all. */
  readonly slowStartMs: number;
  /** Real id of the sorry server, or -1. */
  readonly sorry: number;
  /** When all reals are down, new flows go to them as if all were up. */
  readonly failOpen: boolean;
  readonly limits?: ClientLimits | undefined;
}

/** What becomes of the old flows of a real that takes no new ones. */
export const KEEP_OLD = 0;
export const CUT_OLD = 1;
export const RESET_OLD = 2;

/** A real that takes not everything. */
export interface RealTerms {
  /** Its weight is 0, or it is being drained. */
  readonly stopsNew: boolean;
  /** KEEP_OLD, CUT_OLD or RESET_OLD, and how long after it stopped to take new ones. */
  readonly old: number;
  readonly oldAfterMs: number;
  /** It takes no new flow when it has `upper`, until it has fewer than `lower`; 0: no limit. */
  readonly upper: number;
  readonly lower: number;
}

export interface TableLife {
  /** By service id; undefined for one that wants nothing. */
  readonly services: readonly (ServiceLife | undefined)[];
  /** By real id, likewise. */
  readonly reals: readonly (RealTerms | undefined)[];
  /** By state, as in TIMEOUT_MS. */
  readonly timeoutsMs: Int32Array;
}

/** Wants nothing. */
export const PLAIN_LIFE: TableLife = { services: [], reals: [], timeoutsMs: TIMEOUT_MS };
