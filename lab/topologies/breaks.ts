// Ways to set a topology up wrongly, each one a mistake that people make. verify must fail on every
// one of them and name the host at fault. Most are a changed topology; the rest change the running
// lab before the director starts.
import type { Lab } from '../net/lab.ts';
import { setOffloads } from '../net/links.ts';
import type { Daemon } from '../net/processes.ts';
import {
  addressOf,
  clientOf,
  directorOf,
  type Host,
  isIpv6,
  macFor,
  SWITCH,
  switchPort,
  TOPOLOGY_NAMES,
  type Topology,
  type TopologyName,
} from './topology.ts';

export interface Break {
  readonly name: string;
  readonly topologies: readonly TopologyName[];
  /** What is set up wrongly, in one sentence. */
  readonly summary: string;
  /** The hosts at fault. */
  readonly hosts: readonly string[];
  /** The topology with the mistake in it. */
  readonly change?: (topology: Topology) => Topology;
  /** What is done to the lab once its servers run. */
  readonly apply?: (lab: Lab, topology: Topology) => Promise<void>;
}

/** The real at fault where one is enough. */
const CULPRIT = 'r2';

const STRICT = { 'net.ipv4.conf.all.rp_filter': '1', 'net.ipv4.conf.default.rp_filter': '1' };

export const BREAKS: readonly Break[] = [
  {
    name: 'no-vip-on-lo',
    topologies: ['dsr', 'dsr6'],
    summary: `${CULPRIT} does not have the VIP on lo, so it ignores what the director sends it`,
    hosts: [CULPRIT],
    change: (topology) => changeHosts(topology, [CULPRIT], () => ({ loopback: [] })),
  },
  {
    name: 'arp-real',
    topologies: ['dsr'],
    summary: `${CULPRIT} answers ARP for the VIP, so clients reach it past the director`,
    hosts: [CULPRIT],
    change: (topology) =>
      changeHosts(topology, [CULPRIT], (host) => ({
        sysctls: { ...host.sysctls, 'net.ipv4.conf.all.arp_ignore': '0' },
      })),
  },
  {
    name: 'ndp-real',
    topologies: ['dsr6'],
    summary: `${CULPRIT} has the VIP on eth0 instead of lo, so it answers NDP for it`,
    hosts: [CULPRIT],
    change: (topology) => changeHosts(topology, [CULPRIT], () => ({ loopback: [] })),
    apply: (lab, topology) => lab.ip(CULPRIT, [`address add ${topology.vip}/128 dev eth0 nodad`]),
  },
  {
    name: 'no-return-route',
    topologies: ['nat', 'nat6'],
    summary:
      'the reals have no default route through the director but an arm of their own to the client, ' +
      'so their replies reach it with the wrong source',
    hosts: ['r1', 'r2', 'r3'],
    change: (topology) => changeHosts(topology, ['r1', 'r2', 'r3'], withOwnWayBack),
  },
  {
    name: 'pool-taken',
    topologies: ['fullnat', 'fullnat6'],
    summary: `${CULPRIT} has an address of the source pool too, and answers ARP or NDP for it`,
    hosts: [CULPRIT],
    apply: (lab, topology) => {
      const address = topology.sourcePool?.addresses[0] ?? '';
      const prefix = isIpv6(address) ? '128 dev eth0 nodad' : '32 dev eth0';
      return lab.ip(CULPRIT, [`address add ${address}/${prefix}`]);
    },
  },
  {
    name: 'pool-unrouted',
    topologies: ['fullnat', 'fullnat6'],
    summary: 'the source pool lies in a network that the reals have no route to',
    hosts: ['r1', 'r2', 'r3'],
    change: (topology) => ({
      ...topology,
      sourcePool: {
        addresses: [isIpv6(topology.vip) ? 'fd88::200' : '10.88.0.200'],
        ports: '20000-29999',
      },
    }),
  },
  {
    name: 'no-decap',
    topologies: ['ipip', 'gue', 'ipip6', 'gue6'],
    summary: `nothing on ${CULPRIT} takes packets out of tunnels`,
    hosts: [CULPRIT],
    apply: (lab) => stopDaemons(lab, ({ name }) => name === 'decap'),
  },
  {
    name: 'rp-filter',
    topologies: ['ipip', 'gue'],
    summary:
      `${CULPRIT} has a route to the client alone and a strict reverse-path filter, which drops ` +
      "the tunnels' packets",
    hosts: [CULPRIT],
    change: (topology) =>
      changeHosts(topology, [CULPRIT], () => ({ gateway: null, sysctls: STRICT })),
    apply: (lab, topology) =>
      lab.ip(CULPRIT, [`route add ${addressOf(clientOf(topology))} via 10.31.0.1`]),
  },
  {
    name: 'rp-firewall',
    topologies: ['ipip6', 'gue6'],
    summary:
      `${CULPRIT} has a route to the client alone, and a firewall that looks at the reverse path, ` +
      "as sysctls do for IPv4: it drops the tunnels' packets",
    hosts: [CULPRIT],
    change: (topology) => changeHosts(topology, [CULPRIT], () => ({ gateway: null })),
    apply: filterReversePath,
  },
  {
    name: 'real-dead',
    topologies: TOPOLOGY_NAMES,
    summary: `no server runs on ${CULPRIT}, so its kernel refuses every connection`,
    hosts: [CULPRIT],
    apply: (lab) => stopDaemons(lab, ({ name }) => name !== 'decap'),
  },
  {
    name: 'bad-checksum',
    topologies: ['dsr', 'nat', 'dsr6', 'nat6', 'fullnat', 'fullnat6'],
    summary: 'the director sends TCP to the reals with a wrong checksum, so they drop it',
    hosts: ['director'],
    apply: spoilChecksums,
  },
];

/** The rule of nft(8) that systems install as IPv6_rpfilter. */
async function filterReversePath(lab: Lab, topology: Topology): Promise<void> {
  const rules = `table inet firewall {
  chain prerouting {
    type filter hook prerouting priority -300
    iif eth0 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    iif eth0 fib saddr . iif oif missing drop
  }
}
`;
  await lab.exec(CULPRIT, ['nft', '-f', '-'], { input: rules });
  await lab.ip(CULPRIT, [`route add ${addressOf(clientOf(topology))} via 2001:db8:1::1`]);
}

export function breaksOf(topology: TopologyName): readonly Break[] {
  return BREAKS.filter((each) => each.topologies.includes(topology));
}

function changeHosts(
  topology: Topology,
  names: readonly string[],
  change: (host: Host) => Partial<Host>,
): Topology {
  const hosts = topology.hosts.map((host) =>
    names.includes(host.name) ? { ...host, ...change(host) } : host,
  );
  return { ...topology, hosts };
}

/** A second arm on the client's segment, whose subnet route is the way back. */
function withOwnWayBack(host: Host): Partial<Host> {
  const inside = host.arms[0]!.address;
  const [network, prefixLength] = isIpv6(inside) ? ['2001:db8::', 64] : ['198.51.100.', 24];
  const address = `${network}${inside.split(/[.:]/).at(-1)}`;
  const mac = macFor(1, address);
  const arm = { name: 'eth1', segment: 'outside', address, prefixLength, mac } as const;
  return { arms: [...host.arms, arm], gateway: null };
}

/** Stops programs on the real at fault. */
async function stopDaemons(lab: Lab, isMeant: (daemon: Daemon) => boolean): Promise<void> {
  const daemons = lab.daemons.filter((daemon) => daemon.host === CULPRIT && isMeant(daemon));
  await Promise.all(daemons.map((daemon) => daemon.stop()));
}

/**
 * Puts a second bridge into the director's cable to the reals, which spoils the TCP checksum of
 * what comes from the director. The port that the cable had keeps its name on the far side of it,
 * so that everybody, a capture at the port too, sees what a director that miscounts would send. An
 * egress rule on the director would not do: PACKET_QDISC_BYPASS goes past it.
 */
async function spoilChecksums(lab: Lab, topology: Topology): Promise<void> {
  // A checksum that the client leaves unfinished is finished, or believed, further on.
  const client = clientOf(topology);
  for (const { name } of client.arms) await setOffloads(lab, client.name, name, 'off');
  const arm = directorOf(topology).arms.at(-1)!;
  const port = switchPort('director', arm.name);
  await lab.ip(SWITCH, [
    `link set ${port} down`,
    `link set ${port} nomaster`,
    `link set ${port} name cable`,
    `link add ${port} type veth peer name spoiled`,
    'link add spoiler type bridge forward_delay 0 stp_state 0 mcast_snooping 0',
    'link set cable master spoiler up',
    'link set spoiled master spoiler up',
    'link set spoiler up',
    `link set ${port} master ${arm.segment} up`,
  ]);
  const rules = `table netdev spoiler {
  chain from_director {
    type filter hook ingress device cable priority 0
    meta l4proto tcp tcp checksum set 0xdead
  }
}
`;
  await lab.exec(SWITCH, ['nft', '-f', '-'], { input: rules });
}

/** The break of that name for a topology, or undefined. */
export function findBreak(topology: TopologyName, name: string): Break | undefined {
  return breaksOf(topology).find((each) => each.name === name);
}
