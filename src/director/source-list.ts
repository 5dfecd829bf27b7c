// Which clients a service takes new flows from: prefixes that are allowed and prefixes that are
// denied, laid out as ranges without gaps, so that the longest prefix is found by halving and no
// list is gone through. Addresses are four words; IPv4 lies in ::ffff:0:0/96 (RFC 4291, 2.5.5.2).

export interface SourceList {
  /** Where each range begins: four unsigned words each, in rising order, from :: on. */
  readonly starts: Uint32Array;
  /** 1 where the addresses of a range may open flows, else 0. */
  readonly allowed: Uint8Array;
}

export interface SourcePrefix {
  /** The first address, as a number of 128 bits. */
  readonly first: bigint;
  /** 0 to 128. */
  readonly length: number;
  readonly allowed: boolean;
}

const END = 1n << 128n;

/** Lays out prefixes; whoever is in none is allowed unless some prefix allows. */
export function buildSourceList(prefixes: readonly SourcePrefix[]): SourceList {
  const rest = !prefixes.some(({ allowed }) => allowed);
  const lastOf = ({ first, length }: SourcePrefix) => first + (1n << BigInt(128 - length));
  const edges = [...new Set([0n, ...prefixes.flatMap((one) => [one.first, lastOf(one)])])]
    .filter((edge) => edge < END)
    .sort((one, other) => (one < other ? -1 : 1));
  // Outer prefixes come before those in them, and each stays open until its end is reached.
  const order = [...prefixes].sort((one, other) =>
    one.first === other.first ? one.length - other.length : one.first < other.first ? -1 : 1,
  );
  const open: SourcePrefix[] = [];
  let next = 0;
  const allowed = edges.map((edge) => {
    while (open.length > 0 && lastOf(open.at(-1)!) <= edge) open.pop();
    for (; next < order.length && order[next]!.first <= edge; next++) open.push(order[next]!);
    return (open.at(-1)?.allowed ?? rest) ? 1 : 0;
  });
  const words = (edge: bigint) =>
    [96n, 64n, 32n, 0n].map((by) => Number((edge >> by) & 0xffffffffn));
  return { starts: Uint32Array.from(edges.flatMap(words)), allowed: Uint8Array.from(allowed) };
}

/** @param client its address as four words */
export function isAllowed({ starts, allowed }: SourceList, client: Int32Array): boolean {
  let low = 0;
  for (let high = allowed.length; high - low > 1; ) {
    const middle = (low + high) >>> 1;
    if (isBefore(client, starts, middle * 4)) high = middle;
    else low = middle;
  }
  return allowed[low] === 1;
}

function isBefore(client: Int32Array, starts: Uint32Array, at: number): boolean {
  for (let word = 0; word < 4; word++) {
    const difference = ((client[word] as number) >>> 0) - (starts[at + word] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
