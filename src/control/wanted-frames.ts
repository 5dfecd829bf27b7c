// Which frames a datapath shall let in for a table: to its VIPs, from the reals whose replies come
// back through the director, and from those behind a tunnel: with them the ICMP errors of anybody.
import type { Shared, Wanted } from '../datapath/datapath.ts';
import { address6Of, type Table } from '../director/table.ts';
import { formatIpv6 } from '../wire/address.ts';
import { groupOf } from '../wire/ndp.ts';

export function wantedFrames(table: Table): Wanted {
  return {
    ...sharedAmong(table),
    vips: table.vips,
    reals: Int32Array.of(...table.natAddresses, ...table.tunnelAddresses),
    vipPrefixLengths: table.vipPrefixLengths,
    vips6: Int32Array.of(...wordsOf(table, table.vips6), ...table.prefixes6.networks),
    vipPrefixLengths6: Uint8Array.of(
      ...new Uint8Array(table.vips6.length).fill(128),
      ...table.prefixes6.prefixLengths,
    ),
    reals6: Int32Array.of(
      ...wordsOf(table, table.natAddresses6),
      ...wordsOf(table, table.tunnelAddresses6),
    ),
    // Questions for the sources of tunnels go to as many groups.
    allGroups: table.tunnel.source6 !== undefined,
  };
}

/** Four words for each of these handles. */
const wordsOf = (table: Table, handles: Int32Array): Int32Array =>
  Int32Array.from([...handles].flatMap((handle) => [...address6Of(table, handle)]));

/** Clients that persist together must come to one worker. */
function sharedAmong(table: Table): Shared {
  const { pool, life } = table;
  const prefixes = life.services.flatMap((service) => service?.persistence ?? []);
  const shortest = (family: 4 | 6) =>
    prefixes.reduce(
      (least, each) => (each.family === family ? Math.min(least, each.prefixLength) : least),
      128,
    );
  return {
    pool: pool.addresses,
    pool6: wordsOf(table, pool.addresses6),
    retired: (pool.retired ?? []).map(({ address, family, worker }) => ({
      words: family === 4 ? Int32Array.of(address) : wordsOf(table, Int32Array.of(address)),
      worker,
    })),
    clientPrefixLength: shortest(4) - 96,
    clientPrefixLength6: shortest(6),
  };
}

/**
 * The solicited-node groups of its IPv6 VIPs, to which questions for their MAC address go. Those of
 * a prefix are too many to join.
 */
export function wantedGroups(table: Table): string[] {
  const groups = [...table.vips6].map((handle) => formatIpv6(groupOf(address6Of(table, handle))));
  return [...new Set(groups)];
}
