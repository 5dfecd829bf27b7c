// "When DSR, when NAT, when a proxy", answered from the numbers. Every sentence carries the figure
// it rests on; where a figure is missing the sentence is left out, and where it says the opposite,
// so does the sentence. What a method cannot do whatever the figures say stands in the limits.
import {
  cpuPerGigabyte,
  medianLatency,
  ratioToNone,
  spreadOfValues,
  throughBalancer,
} from '../compare/derive.ts';
import type { CompareResult, MeasureName, PathName } from '../compare/result.ts';
import {
  cacheRatios,
  leastFirstSecond,
  sqlRatios,
  type WayRatio,
  worstOf,
} from '../compare/way-ratios.ts';
import { listed, measured, memory, perByte, ratio, seconds, withPrefix } from './figures.ts';
import { noneSamples, pathNamed, samplesOf } from './look-up.ts';

export interface Advice {
  readonly title: string;
  readonly sentences: readonly string[];
}

const DSR: PathName = 'furiwake-dsr-ring';
const NAT: PathName = 'furiwake-nat-ring';
const FULLNAT: PathName = 'furiwake-fullnat';
const TUNNELS: readonly PathName[] = ['furiwake-ipip', 'furiwake-gue'];

/** Closer than this is the same on a machine whose runs differ by a few percent. */
const NEAR = 0.05;
/** Less than this for each byte delivered is ACKs alone. */
const DATA_CROSSES = 0.5;

export function adviseFrom(result: CompareResult): Advice[] {
  const facts = new Facts(result);
  const advice = [
    { title: 'DSR', sentences: forDsr(facts) },
    { title: 'NAT', sentences: forNat(facts) },
    { title: 'Reals that stand elsewhere', sentences: forElsewhere(facts) },
    { title: 'A proxy', sentences: forProxy(facts) },
  ];
  return advice.map(({ title, sentences }) => ({
    title,
    sentences: sentences.filter((sentence) => sentence !== undefined),
  }));
}

type Sentence = string | undefined;

/** What was measured, by name; undefined where it was not. */
class Facts {
  readonly result: CompareResult;

  constructor(result: CompareResult) {
    this.result = result;
  }

  samples(name: PathName, measure: MeasureName) {
    return samplesOf(pathNamed(this.result, name), measure);
  }

  value(name: PathName, measure: MeasureName): number | undefined {
    return spreadOfValues(this.samples(name, measure))?.median;
  }

  /** Of samples of the same round. */
  ratio(name: PathName, other: PathName, measure: MeasureName): number | undefined {
    return ratioToNone(this.samples(name, measure), this.samples(other, measure))?.median;
  }

  title(name: PathName): string {
    return pathNamed(this.result, name)?.title ?? name;
  }
}

function forDsr(facts: Facts): Sentence[] {
  return [
    downloads(facts),
    crossing(facts),
    gigabytes(facts),
    sql(facts),
    cache(facts),
    newConnections(facts),
  ];
}

function downloads(facts: Facts): Sentence {
  const dsr = facts.value(DSR, 'download');
  const nat = facts.value(NAT, 'download');
  const times = facts.ratio(DSR, NAT, 'download');
  if (dsr === undefined || nat === undefined || times === undefined) return undefined;
  const [own, other] = [measured(dsr, 'download'), measured(nat, 'download')];
  if (times > 1 + NEAR) {
    return `Choose it where answers are large: a download ran at ${own}, ${ratio(times)} times the ${other} of NAT.`;
  }
  if (times < 1 - NEAR) {
    return `Do not choose it for the speed of one download on a machine like this: it ran at ${own}, ${ratio(times)} times the ${other} of NAT.`;
  }
  return `The speed of one download does not decide here: ${own} by DSR, ${other} by NAT.`;
}

function crossing(facts: Facts): Sentence {
  const dsr = throughBalancer(facts.samples(DSR, 'download'))?.out;
  const nat = throughBalancer(facts.samples(NAT, 'download'))?.out;
  if (dsr === undefined) return undefined;
  if (dsr >= DATA_CROSSES) {
    return `In this run the answers did cross the director in DSR (${perByte(dsr)} bytes for each byte delivered): that is not direct return, look at the evidence before anything else.`;
  }
  const beside = nat === undefined ? '' : `, ${perByte(nat)} by NAT`;
  return `For each byte downloaded the director sent on ${perByte(dsr)} bytes by DSR${beside}: what does not cross the director cannot make it the limit.`;
}

function gigabytes(facts: Facts): Sentence {
  const none = noneSamples(facts.result, 'download');
  const dsr = cpuPerGigabyte(facts.samples(DSR, 'download'), none)?.machineSeconds;
  const nat = cpuPerGigabyte(facts.samples(NAT, 'download'), none)?.machineSeconds;
  if (dsr === undefined || nat === undefined) return undefined;
  const figures = `${seconds(dsr)} of processor time by DSR and ${seconds(nat)} by NAT`;
  return `A downloaded gigabyte cost the whole machine ${figures}.`;
}

function sql({ result: { sql } }: Facts): Sentence {
  if (sql === undefined) return undefined;
  const dsr = worstOf(sqlRatios(sql, 'dsr'));
  const nat = worstOf(sqlRatios(sql, 'nat'));
  if (dsr === undefined) return undefined;
  const repeated = byCache(worstOf(sqlRatios(sql, 'dsr-tc')), worstOf(sqlRatios(sql, 'nat-tc')));
  const kernel = worstOf(sqlRatios(sql, 'fwd'));
  const forwarded = kernel === undefined ? '' : `${byKernel(kernel)}, at ${kernel.at}`;
  const beside = nat === undefined ? '' : `; by NAT ${ratio(nat.spread.median)}, at ${nat.at}`;
  return `The read-only SQL workload kept ${ratio(dsr.spread.median)} of its direct rate at worst, at ${dsr.at} connections${beside}${repeated}${forwarded}.`;
}

function cache({ result: { cache } }: Facts): Sentence {
  if (cache === undefined) return undefined;
  const dsr = worstOf(cacheRatios(cache, 'dsr'));
  const nat = worstOf(cacheRatios(cache, 'nat'));
  if (dsr === undefined) return undefined;
  const beside = nat === undefined ? '' : `, ${ratio(nat.spread.median)} by NAT`;
  const first = leastFirstSecond(cache, 'dsr');
  const warm =
    first === undefined
      ? ''
      : `; by DSR its first second reached ${ratio(first)} of the rounds’ median`;
  const [dsrTc, natTc] = (['dsr-tc', 'nat-tc'] as const).map((way) =>
    worstOf(cacheRatios(cache, way)),
  );
  const kernel = byKernel(worstOf(cacheRatios(cache, 'fwd')));
  const spread = worstOf(cacheRatios(cache, 'spread'));
  const alone =
    spread === undefined
      ? ''
      : `; without a balancer, but spread as one would, ${ratio(spread.spread.median)}`;
  return `The cache workload kept ${ratio(dsr.spread.median)} of its direct rate at worst${beside}${byCache(dsrTc, natTc)}${kernel}${alone}${warm}.`;
}

/** With the flow cache. */
const byCache = (dsr: WayRatio | undefined, nat: WayRatio | undefined): string =>
  dsr === undefined || nat === undefined
    ? ''
    : `; with the flow cache (tc) ${ratio(dsr.spread.median)} by DSR, ${ratio(nat.spread.median)} by NAT`;

const byKernel = (worst: WayRatio | undefined): string =>
  worst === undefined ? '' : `; by the kernel’s own forwarding ${ratio(worst.spread.median)}`;

function newConnections(facts: Facts): Sentence {
  const dsr = facts.value(DSR, 'connections');
  const times = facts.ratio(DSR, NAT, 'connections');
  if (dsr === undefined || times === undefined) return undefined;
  const rate = `${withPrefix(dsr, '')} a second`;
  if (Math.abs(times - 1) <= NEAR) {
    return `New connections do not decide: DSR opened ${rate}, as many as NAT.`;
  }
  return `New connections speak ${times > 1 ? 'for' : 'against'} it: ${rate}, ${ratio(times)} times NAT.`;
}

function forNat(facts: Facts): Sentence[] {
  return [priceOfNat(facts), uploads(facts), addedLatency(facts), besideKernel(facts)];
}

function priceOfNat(facts: Facts): Sentence {
  const [up, down] = (['upload', 'download'] as const).map((measure) =>
    facts.ratio(NAT, 'none', measure),
  );
  const why =
    'Choose it where the reals cannot carry the VIP, listen on another port, or stand on another segment than the director';
  const kept = [
    up === undefined ? [] : [`${ratio(up)} of the upload`],
    down === undefined ? [] : [`${ratio(down)} of the download`],
  ].flat();
  if (kept.length === 0) return undefined;
  return `${why}; it kept ${listed(kept)} without a balancer.`;
}

function uploads(facts: Facts): Sentence {
  const times = facts.ratio(NAT, DSR, 'upload');
  const rate = facts.value(NAT, 'upload');
  if (times === undefined || rate === undefined) return undefined;
  const figures = `${measured(rate, 'upload')}, ${ratio(times)} times DSR`;
  if (times < 1 - 2 * NEAR) return `Uploads lose by it as well: ${figures}.`;
  return `Where uploads dominate, DSR gains little or nothing over it, since requests cross the director by both: ${figures}.`;
}

function addedLatency(facts: Facts): Sentence {
  const [none, dsr, nat] = (['none', DSR, NAT] as const).map(
    (name) => medianLatency(facts.samples(name, 'latency-idle'))?.p50Seconds,
  );
  if (none === undefined || nat === undefined) return undefined;
  const beside = dsr === undefined ? '' : `, ${seconds(dsr)} by DSR`;
  return `The median round trip of an idle path took ${seconds(nat)} by NAT${beside} and ${seconds(none)} without a balancer.`;
}

function besideKernel(facts: Facts): Sentence {
  const [packets, down] = (['packets', 'download'] as const).map((measure) =>
    facts.ratio(NAT, 'nft-dnat', measure),
  );
  if (packets === undefined || down === undefined) return undefined;
  return `Beside the kernel’s own nft DNAT it moved ${ratio(packets)} times the small packets and ${ratio(down)} times the download.`;
}

function forElsewhere(facts: Facts): Sentence[] {
  return [fullnat(facts), tunnels(facts), decap(facts)];
}

function fullnat(facts: Facts): Sentence {
  const kept = pricesAt(facts, FULLNAT, NAT);
  if (kept.length === 0) return undefined;
  return `Choose full NAT where the reals have no route back through the director and need not know their clients; it reached ${listed(kept)} of NAT.`;
}

function tunnels(facts: Facts): Sentence {
  const crossed = TUNNELS.flatMap((name) => {
    const out = throughBalancer(facts.samples(name, 'download'))?.out;
    return out === undefined ? [] : [{ out, title: facts.title(name) }];
  });
  if (crossed.length === 0) return undefined;
  const figures = listed(crossed.map(({ out, title }) => `${perByte(out)} by ${title}`));
  if (crossed.some(({ out }) => out >= DATA_CROSSES)) {
    return `In this run answers from behind tunnels did cross the director (bytes for each byte delivered: ${figures}): look at the evidence before anything else.`;
  }
  return `Choose a tunnel where the reals stand in another subnet and answers are large: for each byte downloaded the director sent on ${figures}.`;
}

function decap(facts: Facts): Sentence {
  const rates = TUNNELS.flatMap((name) => {
    const rate = facts.value(name, 'upload');
    return rate === undefined ? [] : [`${measured(rate, 'upload')} by ${facts.title(name)}`];
  });
  if (rates.length === 0) return undefined;
  return `Here the reals take packets out of tunnels by “furiwake decap”, one by one in Node, and an upload ran at ${listed(rates)}; a kernel with tunnel devices unpacks by itself.`;
}

/** What one path reached of another, measure by measure. */
function pricesAt(facts: Facts, name: PathName, other: PathName): string[] {
  const words = {
    connections: 'the new connections',
    requests: 'the requests',
    download: 'the download',
  };
  return (['connections', 'requests', 'download'] as const).flatMap((measure) => {
    const times = facts.ratio(name, other, measure);
    return times === undefined ? [] : [`${ratio(times)} times ${words[measure]}`];
  });
}

const PROXIES: readonly PathName[] = ['haproxy', 'nginx-stream'];

function forProxy(facts: Facts): Sentence[] {
  const name = PROXIES.find((each) => facts.value(each, 'requests') !== undefined);
  const why = 'Choose one where cookies, TLS or the content of a request must decide';
  if (name === undefined) {
    return [`${why}; no proxy was measured in this run, so its price is not known from here.`];
  }
  const prices = pricesAt(facts, name, NAT);
  const title = facts.title(name);
  const figures =
    prices.length === 0 ? '' : `; ${title} reached ${prices.join(', ')} of furiwake NAT`;
  return [`${why}, which no packet-level method sees${figures}.`, besideProxy(facts, name)];
}

function besideProxy(facts: Facts, name: PathName): Sentence {
  const proxy = medianLatency(facts.samples(name, 'latency-half'));
  const nat = medianLatency(facts.samples(NAT, 'latency-half'));
  if (proxy === null || nat === null) return undefined;
  const resident = pathNamed(facts.result, name)?.residentBytes ?? null;
  const own = resident === null ? '' : ` and held ${memory(resident)} of memory`;
  const [pace, beside] = [proxy, nat].map(({ ratePerSecond }) => withPrefix(ratePerSecond, ''));
  return `At ${pace} messages a second, half of its own request rate, ${facts.title(name)} answered 99 % within ${seconds(proxy.p99Seconds)}${own} (NAT, at ${beside} of its own: ${seconds(nat.p99Seconds)}).`;
}

/** A limit that the talks name, and what this project does about it today. */
export interface Limit {
  readonly limit: string;
  readonly today: string;
}

export const LIMITS: readonly Limit[] = [
  {
    limit: 'In DSR the balancer sees no answers.',
    today:
      'Not lifted: by DSR and through tunnels furiwake follows the client’s half of a connection alone. By NAT and full NAT it sees both halves.',
  },
  {
    limit: 'No cookies, no content: neither DSR nor NAT looks into the data.',
    today:
      'Not lifted. Persistence and the schedulers that hash keep a client at its real by address, which is coarser than a cookie.',
  },
  {
    limit: 'No TLS offload: certificates and the work of TLS stay on every real.',
    today: 'Not lifted. A proxy in front or on the reals is the way.',
  },
  {
    limit: 'MTU: an added header makes full packets too large.',
    today:
      'Lifted: DSR by MAC, NAT and full NAT add no header. Where a tunnel’s does not fit, the sender is told by ICMP how long a packet may be (IPv6: Packet Too Big), also by a narrow router on the tunnel’s way, or the packet is cut before it goes in.',
  },
  {
    limit: 'One segment: DSR by MAC reaches only reals on the director’s own Ethernet.',
    today:
      'Lifted. Tunnels (ipip, gue) reach reals in other subnets, whose answers still go past the director. NAT reaches those whose way back is the director, full NAT those without a route back.',
  },
  {
    limit: 'DSR asks for the VIP on every real, hidden from ARP, and for the same port.',
    today:
      'Not lifted for DSR: “furiwake lab verify dsr --break arp-real” shows how it looks when it is wrong. Reals behind tunnels have the VIP on lo as well, but nobody asks for it there. NAT and full NAT need neither, and may use another port.',
  },
  {
    limit: 'IPv4 alone.',
    today: 'Lifted: DSR, NAT, full NAT and tunnels carry IPv6 as well.',
  },
  {
    limit: 'TCP health checks made MySQL block the balancer of the talk.',
    today:
      'furiwake has no health checks yet: no such trouble, but a real whose server died still gets connections.',
  },
];
