// nftables, twice: DNAT, where conntrack remembers each connection, and rewriting at netdev
// ingress, where nothing is remembered and the answer goes past the director.
import { BY_CONNECTION, choice, FORWARD_SOURCE, forwardTo } from '../../hosts/nft-forward.ts';
import type { Lab } from '../../net/lab.ts';
import { DSR } from '../../topologies/dsr.ts';
import { NAT } from '../../topologies/nat.ts';
import {
  addressOf,
  directorOf,
  type LabService,
  realsOf,
  type Topology,
  WEB_PORT,
} from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import type { ConfigFile } from '../result.ts';
import { type Balancer, comparing, pathOf } from './open-path.ts';
import { addVipCommand, runScript } from './run-script.ts';

/** Without a seed each rule has one of its own, and UDP and TCP of a client would part. */
const BY_CLIENT = { hash: 'jhash ip saddr', seed: ' seed 0x66757269' } as const;

/** Ports of one protocol that go by the client's address, as a set of nft. */
function portsByClient(topology: Topology, protocol: LabService['protocol']): string {
  const services = topology.services.filter((each) => each.scheduler === 'sh');
  const ports = services.filter((each) => each.protocol === protocol).map(({ port }) => port);
  return `{ ${ports.join(', ')} }`;
}

function dnatRules(topology: Topology): string {
  const reals = realsOf(topology).map(addressOf);
  const byClient = choice(reals, BY_CLIENT.hash, BY_CLIENT.seed);
  const to = `ip daddr ${topology.vip}`;
  return `table ip compare {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ${to} tcp dport ${WEB_PORT} dnat to ${choice(reals, 'numgen inc')}
    ${to} tcp dport ${portsByClient(topology, 'tcp')} dnat to ${byClient}
    ${to} udp dport ${portsByClient(topology, 'udp')} dnat to ${byClient}
  }
}
`;
}

/** Nothing remembers a connection here, so the web goes by the client's address and port. */
function forwardRules(topology: Topology): string {
  const arm = directorOf(topology).arms[0]!;
  const reals = realsOf(topology).map((real) => real.arms[0]!.mac);
  const to = `ip daddr ${topology.vip}`;
  const byConnection = forwardTo(arm, choice(reals, BY_CONNECTION));
  const byClient = forwardTo(arm, choice(reals, BY_CLIENT.hash, BY_CLIENT.seed));
  return `table netdev compare {
  chain ingress {
    type filter hook ingress device "${arm.name}" priority 0
    ${to} tcp dport ${WEB_PORT} ${byConnection}
    ${to} tcp dport ${portsByClient(topology, 'tcp')} ${byClient}
    ${to} udp dport ${portsByClient(topology, 'udp')} ${byClient}
  }
}
`;
}

async function load(
  lab: Lab,
  rules: Pick<ConfigFile, 'text' | 'source'>,
  script: Pick<ConfigFile, 'text' | 'source'>,
): Promise<Balancer> {
  const director = await runScript(lab, script);
  await lab.exec('director', ['nft', '-f', '-'], { input: rules.text });
  return { configs: [{ name: 'nftables.conf', ...rules }, director] };
}

export const NFT_DNAT: Path = pathOf({
  name: 'nft-dnat',
  title: 'nft DNAT',
  kind: 'nat',
  summary: 'nftables rewrites the address of a new connection, conntrack the rest and the answers',
  topology: comparing(NAT),
  carriesUdp: true,
  programs: ['sysctl'],
  start: (lab, topology) =>
    load(
      lab,
      {
        text: dnatRules(topology),
        source: 'nftables wiki, Load balancing: Round Robin; Consistent Hash-based Distribution',
      },
      {
        text: `${addVipCommand(topology)}sysctl -q -w net.ipv4.ip_forward=1\n`,
        source: 'nftables wiki, Performing Network Address Translation (NAT)',
      },
    ),
});

export const NFT_FWD: Path = pathOf({
  name: 'nft-fwd',
  title: 'nft fwd',
  kind: 'dsr',
  summary:
    'nftables writes a real’s MAC address at netdev ingress, by a hash for each packet; ' +
    'the answer goes past the director',
  topology: comparing(DSR),
  carriesUdp: true,
  start: (lab, topology) =>
    load(
      lab,
      {
        text: forwardRules(topology),
        source: FORWARD_SOURCE,
      },
      {
        text: `# The rules take IP packets; the kernel answers ARP.\n${addVipCommand(topology)}`,
        source: FORWARD_SOURCE,
      },
    ),
});
