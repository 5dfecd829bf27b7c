// Which frames a datapath shall let in for a table: to its VIPs, from the reals whose replies come
// back through the director, and from those behind a tunnel: with them the ICMP errors of anybody.
import type { Wanted } from '../datapath/datapath.ts';
import { address6Of, type Table } from '../director/table.ts';

export function wantedFrames(table: Table): Wanted {
  const wordsOf = (handles: Int32Array) =>
    Int32Array.from([...handles].flatMap((handle) => [...address6Of(table, handle)]));
  return {
    vips: table.vips,
    reals: Int32Array.of(...table.natAddresses, ...table.tunnelAddresses),
    vipPrefixLengths: table.vipPrefixLengths,
    vips6: wordsOf(table.vips6),
    reals6: wordsOf(table.natAddresses6),
  };
}
