// nftables, twice: DNAT, where conntrack remembers each connection, and rewriting at netdev ingress,
// where nothing is remembered and the answer goes past the director.
import type { Lab } from '../../net/lab.ts';
import { DSR } from '../../topologies/dsr.ts';
import { NAT } from '../../topologies/nat.ts';
import {
  addressOf,
  directorOf,
  type LabService,
  realsOf,
  type Topology,
} from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import type { ConfigFile } from '../result.ts';
import { type Balancer, comparing, pathOf } from './open-path.ts';
import { addVipCommand, runScript } from './run-script.ts';

/** The wiki's hashes have no seed; both rules of one client must find the same real. */
const BY_CLIENT = 'jhash ip saddr mod 3 seed 0x66757269';

/** Ports of one protocol that go by the client's address, as a set of nft. */
function portsByClient(topology: Topology, protocol: LabService['protocol']): string {
  const services = topology.services.filter((each) => each.scheduler === 'sh');
  const ports = services.filter((each) => each.protocol === protocol).map(({ port }) => port);
  return `{ ${ports.join(', ')} }`;
}

/** `{ 0 : first, 1 : second, 2 : third }` */
function mapOf(values: readonly string[]): string {
  return `{ ${values.map((value, index) => `${index} : ${value}`).join(', ')} }`;
}

function dnatRules(topology: Topology): string {
  const reals = mapOf(realsOf(topology).map(addressOf));
  const { vip } = topology;
  return `table ip compare {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${vip} tcp dport 80 dnat to numgen inc mod 3 map ${reals}
    ip daddr ${vip} tcp dport ${portsByClient(topology, 'tcp')} dnat to ${BY_CLIENT} map ${reals}
    ip daddr ${vip} udp dport ${portsByClient(topology, 'udp')} dnat to ${BY_CLIENT} map ${reals}
  }
}
`;
}

/** Nothing remembers a connection here, so the web goes by the client's address and port. */
function forwardRules(topology: Topology): string {
  const { name, mac } = directorOf(topology).arms[0]!;
  const reals = mapOf(realsOf(topology).map((real) => real.arms[0]!.mac));
  const { vip } = topology;
  const set = `ether saddr set ${mac} ether daddr set`;
  return `table netdev compare {
  chain ingress {
    type filter hook ingress device "${name}" priority 0
    ip daddr ${vip} tcp dport 80 ${set} jhash ip saddr . tcp sport mod 3 map ${reals} fwd to "${name}"
    ip daddr ${vip} tcp dport ${portsByClient(topology, 'tcp')} ${set} ${BY_CLIENT} map ${reals} fwd to "${name}"
    ip daddr ${vip} udp dport ${portsByClient(topology, 'udp')} ${set} ${BY_CLIENT} map ${reals} fwd to "${name}"
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
        source: 'nftables wiki, Load balancing: Using Direct Server Return (DSR)',
      },
      {
        text: `# The rules take packets alone; ARP for the VIP is the kernel's to answer.\n${addVipCommand(topology)}`,
        source: 'nftables wiki, Load balancing: Using Direct Server Return (DSR)',
      },
    ),
});
