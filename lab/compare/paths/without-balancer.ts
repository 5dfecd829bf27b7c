// The two yardsticks: what the client gets from a real on its own Ethernet, with nobody between,
// and what it gets when a host between the two does no more than route. The web server of that one
// real has as many workers as those of all reals have behind a balancer.
import { DSR } from '../../topologies/dsr.ts';
import { NAT } from '../../topologies/nat.ts';
import { addressOf, directorOf, realsOf, type Topology } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { comparing, pathOf } from './open-path.ts';
import { runScript } from './run-script.ts';

/** One Ethernet as in DSR, but the reals serve their own addresses; the director does nothing. */
const ONE_ETHERNET: Topology = {
  ...comparing(DSR),
  hosts: DSR.hosts.map((host) => ({ ...host, loopback: [] })),
};

/** The client knows the way to the reals: over the director. */
const ROUTED: Topology = {
  ...comparing(NAT),
  hosts: NAT.hosts.map((host) =>
    host.role === 'client' ? { ...host, gateway: addressOf(directorOf(NAT)) } : host,
  ),
};

const ROUTER_SCRIPT = `# The director's host is a router between client and reals, and no more.
sysctl -q -w net.ipv4.ip_forward=1
`;

export const NONE: Path = pathOf({
  name: 'none',
  title: 'no balancer',
  kind: 'none',
  summary:
    'the client talks to one real with three web workers on the same Ethernet; nothing is between them',
  topology: ONE_ETHERNET,
  target: addressOf(realsOf(ONE_ETHERNET)[0]!),
  carriesUdp: true,
  start: async () => ({ configs: [] }),
});

export const ROUTING: Path = pathOf({
  name: 'routing',
  title: 'routing',
  kind: 'routing',
  summary:
    'the kernel of the host between routes to one real with three web workers and back, and balances nothing',
  topology: ROUTED,
  target: addressOf(realsOf(ROUTED)[0]!),
  carriesUdp: true,
  programs: ['sysctl'],
  start: async (lab) => ({
    configs: [
      await runScript(lab, {
        text: ROUTER_SCRIPT,
        source: 'Linux, Documentation/networking/ip-sysctl.rst, ip_forward',
      }),
    ],
  }),
});
