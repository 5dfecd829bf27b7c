// The checks before a director starts, as a judgement on facts that were gathered elsewhere: each
// problem says what was found and what to do. A director that passes them cannot make the host's
// own IP stack handle the same packets again. Nothing is set up before all of them pass.
import { allReals, type Config, type RealConfig } from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import { parsePrefix, parsePrefix6 } from '../config/listening.ts';
import type { Arm } from '../datapath/datapath.ts';
import type { InterfaceAddress, NetworkInterface } from '../linux/interfaces.ts';
import { inSubnet, inSubnet6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import { MINIMUM_MTU as IPV6_MINIMUM_MTU } from '../wire/ipv6.ts';
import { GUE_BYTES, OUTER_BYTES, OUTER6_BYTES } from '../wire/tunnel.ts';
import { armOf } from './arms.ts';
import { findWay } from './find-hops.ts';
import type { HostFacts } from './host-facts.ts';
import { hasRoomForSources } from './retired-sources.ts';

export type GuardChoice =
  | { readonly kind: 'nft' }
  /** `why` completes "no guard: ...". */
  | { readonly kind: 'none'; readonly why: string };

/** Whether a guard will stand behind the tap, or why not. */
export function chooseGuard(config: Config, facts: HostFacts): GuardChoice {
  if (config.guard === 'off') return { kind: 'none', why: '"guard: off" in the config' };
  if (!facts.capabilities.childNetAdmin) {
    const why = facts.capabilities.netAdmin
      ? 'CAP_NET_ADMIN does not pass to nft, it must be an ambient capability (setpriv(1))'
      : 'no CAP_NET_ADMIN';
    return { kind: 'none', why };
  }
  if (!facts.nft) return { kind: 'none', why: 'nft is not installed (apt-get install nftables)' };
  return { kind: 'nft' };
}

/**
 * All problems that keep a director with this configuration from starting; none if it may start.
 */
export function findProblems(config: Config, facts: HostFacts): string[] {
  return [
    ...facts.interfaces.flatMap((found) => (found.ok ? unfit(found.interface) : found.problem)),
    ...missingPrivilege(facts),
    ...missingForCache(config, facts),
    ...missingPackage(config, facts),
    ...tooManyWorkers(config, facts),
    ...ownedAddresses(config, facts),
    ...unreachableReals(config, facts),
    ...unfitWays(config, facts),
    ...(chooseGuard(config, facts).kind === 'none' ? doubleHandling(config, facts) : []),
  ];
}

function unfit({ name, loopback, ethernet, mac }: NetworkInterface): string[] {
  if (loopback) {
    return [`${name} is a loopback interface: a director works on Ethernet interfaces only`];
  }
  if (!ethernet) return [`${name} is no Ethernet interface (its hardware address is "${mac}")`];
  return [];
}

function missingPrivilege({ capabilities }: HostFacts): string[] {
  if (capabilities.netRaw) return [];
  return [
    [
      'CAP_NET_RAW is missing: the director opens packet sockets. Run it as root, or give it that:',
      '  once:     sudo setpriv --reuid=$(id -u) --regid=$(id -g) --init-groups \\',
      '              --inh-caps=+net_raw --ambient-caps=+net_raw furiwake run ...',
      '  always:   sudo setcap cap_net_raw+ep "$(readlink -f "$(command -v node)")"',
      '            (every program of that node then has it)',
      '  systemd:  AmbientCapabilities=CAP_NET_RAW',
    ].join('\n'),
  ];
}

function missingForCache({ datapath }: Config, { capabilities }: HostFacts): string[] {
  const { netAdmin, bpf } = capabilities;
  if (datapath !== 'tc' || (netAdmin && bpf)) return [];
  const missing = [...(bpf ? [] : ['CAP_BPF']), ...(netAdmin ? [] : ['CAP_NET_ADMIN'])];
  return [
    `datapath tc needs ${missing.join(' and ')}: it gives the kernel programs for the frames of ` +
      'each interface. Run it as root, or with AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN ' +
      'CAP_BPF of systemd; or set "datapath: ring"',
  ];
}

function missingPackage(config: Config, { packageProblem }: HostFacts): string[] {
  if (packageProblem === undefined) return [];
  const [name, other, first] =
    config.datapath !== 'cap'
      ? ['koffi', 'cap', '']
      : ['cap', 'ring', 'apt-get install libpcap-dev python3 make g++ && '];
  return [
    `datapath ${config.datapath} needs the package ${name}, which cannot be loaded: ` +
      `${packageProblem}. In furiwake's directory: ${first}npm install --include=optional ` +
      `&& npm rebuild ${name}; or set "datapath: ${other}"`,
  ];
}

function tooManyWorkers(config: Config, { processors }: HostFacts): string[] {
  const { workers, services } = config;
  const vips = new Set(services.flatMap((service) => service.vips));
  return [
    ...(workers > Math.max(1, processors)
      ? [
          `workers is ${workers}, but this process may use ${processors} processors: each worker ` +
            `needs one of its own. Set "workers: ${processors}" or fewer`,
        ]
      : []),
    ...(!hasRoomForSources(config, [])
      ? [
          `workers is ${workers} and there are ${vips.size} VIPs: frames to so many cannot be ` +
            'shared out (2,000 of IPv4 can, or 444 of IPv6; a sourcePool takes room as well). ' +
            'Set "workers: 1"',
        ]
      : []),
  ];
}

/**
 * VIPs, reals and sources that the host itself owns: packets to them would never be the director's
 * alone.
 */
function ownedAddresses(config: Config, { local }: HostFacts): string[] {
  const problems: string[] = [];
  for (const service of config.services) {
    for (const vip of service.vips) {
      const owner = findOwner(vip, local);
      if (owner === undefined) continue;
      const [what, which] = vip.includes('/') ? ['holds', 'ADDRESS'] : ['is', vip];
      problems.push(
        `services.${service.name}: the VIP ${vip} ${what} an address of this host ` +
          `(${owner}). A VIP is on no interface of the director: take it away with ` +
          `"ip address del ${which}/PREFIX dev INTERFACE"`,
      );
    }
    for (const real of allReals(service)) {
      const owner = findOwner(real.address, local);
      if (owner === undefined) continue;
      problems.push(
        `services.${service.name}: the real ${realName(real)} is an address of this host ` +
          `(${owner}). A real must be another host on one of the interfaces`,
      );
    }
  }
  for (const address of config.sourcePool?.addresses ?? []) {
    const owner = findOwner(address, local);
    if (owner === undefined) continue;
    problems.push(
      `sourcePool: ${address} is an address of this host (${owner}). Addresses of the pool are ` +
        'on no interface of the director, like VIPs: take it away with ' +
        `"ip address del ${address}/PREFIX dev INTERFACE"`,
    );
  }
  return [...new Set([...problems, ...ownedSources(config, local)])];
}

function ownedSources({ tunnel }: Config, local: HostFacts['local']): string[] {
  return (tunnel?.sources ?? []).flatMap((sources) => {
    const owner = findOwner(sources, local);
    if (owner === undefined) return [];
    return [
      `tunnel: the sources ${sources} hold an address of this host (${owner}). Sources of ` +
        'tunnels are on no interface of the director, like VIPs: take it away with ' +
        '"ip address del ADDRESS/PREFIX dev INTERFACE", or choose another prefix',
    ];
  });
}

/** The host's address or range that shares one with an address or prefix, as `ADDRESS/PREFIX`. */
function findOwner(address: string, local: HostFacts['local']): string | undefined {
  const owner = local.find((range) => holds(range, address));
  return owner && `${owner.address}/${owner.prefixLength}`;
}

function holds({ address: range, prefixLength }: InterfaceAddress, address: string): boolean {
  const [wanted6, range6] = [parsePrefix6(address), parseIpv6(range)];
  if (wanted6 !== undefined && range6 !== undefined) {
    return inSubnet6(wanted6.network, range6, Math.min(prefixLength, wanted6.prefixLength));
  }
  const [wanted, start] = [parsePrefix(address), parseIpv4(range)];
  if (wanted === undefined || start === undefined) return false;
  return inSubnet(wanted.address, start, Math.min(prefixLength, wanted.prefixLength));
}

/** Reals that no arm leads to; silent while an interface is missing, which is the first problem. */
function unreachableReals(config: Config, facts: HostFacts): string[] {
  const arms = facts.interfaces.flatMap((found) => (found.ok ? armOf(found.interface) : []));
  if (arms.length < facts.interfaces.length) return [];
  const subnets = (ofIpv6: boolean) =>
    facts.interfaces
      .flatMap((found) => (found.ok ? describe(found.interface, ofIpv6) : []))
      .join(', ');
  return config.services.flatMap((service) =>
    allReals(service)
      .filter((real) => findWay(real, arms, facts.routes).arm < 0)
      .map(
        (real) =>
          `services.${service.name}: no interface leads to the real ${realName(real)} ` +
          `(there are ${subnets(isIpv6Text(real.address))}): give the real an "interface:", ` +
          'or give an interface an address in its subnet, or give the real a "gateway:"',
      ),
  );
}

/**
 * Interfaces of reals over IPv6 have the MTU that it demands (RFC 8200, 5). A tunnel begins at an
 * address of the real's family, and where a VIP is of IPv6, packets of that size fit into it.
 */
function unfitWays(config: Config, facts: HostFacts): string[] {
  const arms = facts.interfaces.flatMap((found) => (found.ok ? armOf(found.interface) : []));
  const sources = config.tunnel?.sources ?? [];
  return config.services.flatMap((service) =>
    allReals(service).flatMap((real) => {
      const arm = arms[findWay(real, arms, facts.routes).arm];
      if (arm === undefined) return [];
      const ofIpv6 = isIpv6Text(real.address);
      const at = `services.${service.name}: the`;
      const bare =
        ofIpv6 && arm.mtu < IPV6_MINIMUM_MTU
          ? [
              `${at} way to the real ${realName(real)} is too narrow: ${arm.name} has an MTU of ` +
                `${arm.mtu}, and IPv6 needs ${IPV6_MINIMUM_MTU} on every interface (RFC 8200, 5): ` +
                `ip link set ${arm.name} mtu ${IPV6_MINIMUM_MTU} or more`,
            ]
          : [];
      if (real.method !== 'ipip' && real.method !== 'gue') return bare;
      const where = `${at} tunnel to the real ${realName(real)}`;
      const isNowhere = ofIpv6 ? !hasGlobal(arm) : arm.address === 0;
      const least = IPV6_MINIMUM_MTU + aheadOf(real.method, ofIpv6);
      const isNarrow = service.vips.some(isIpv6Text) && arm.mtu < least;
      return [
        ...(isNowhere && !sources.some((source) => isIpv6Text(source) === ofIpv6)
          ? [
              `${where} has no source address: give its interface an ` +
                `${ofIpv6 ? 'IPv6' : 'IPv4'} address, or set "tunnel: { sources: ... }"`,
            ]
          : []),
        ...(isNarrow
          ? [
              `${where} is too narrow: ${arm.name} has an MTU of ${arm.mtu}, and IPv6 packets of ` +
                `${IPV6_MINIMUM_MTU} bytes, which hosts may always send, need ${least} with the ` +
                `headers of ${real.method}: ip link set ${arm.name} mtu ${least} or more`,
            ]
          : bare),
      ];
    }),
  );
}

/** Its first address is a link-local one only if it has no other. */
const hasGlobal = ({ address6 }: Arm): boolean =>
  address6 !== undefined && !inSubnet6(address6, [0xfe80_0000 | 0, 0, 0, 0], 10);

const aheadOf = (method: 'ipip' | 'gue', ofIpv6: boolean): number =>
  (ofIpv6 ? OUTER6_BYTES : OUTER_BYTES) + (method === 'gue' ? GUE_BYTES : 0);

function describe({ name, addresses, addresses6 }: NetworkInterface, ipv6: boolean): string {
  const shown = (ipv6 ? addresses6 : addresses).map(
    ({ address, prefixLength }) => `${address}/${prefixLength}`,
  );
  return `${name} ${shown.join(' ') || 'without an address'}`;
}

const realName = (real: RealConfig): string =>
  real.name.includes(real.address) ? real.name : `${real.name} (${real.address})`;

/** Without a guard: what would make the host's own IP stack forward or answer for the VIPs. */
function doubleHandling(config: Config, facts: HostFacts): string[] {
  const choice = chooseGuard(config, facts);
  const guard =
    choice.kind === 'none'
      ? `or let the director install its guard (now there is none: ${choice.why})`
      : '';
  return [
    ...facts.forwarding.map(
      (name) =>
        `${name} forwards IPv4 packets (net.ipv4.conf.${name}.forwarding = 1), so the kernel ` +
        'would forward what the director forwards a second time: ' +
        `sysctl -w net/ipv4/conf/${name}/forwarding=0 ` +
        `(for the whole host: net.ipv4.ip_forward=0), ${guard}`,
    ),
    ...facts.proxyArp.map(
      (name) =>
        `${name} answers ARP for others (proxy_arp = 1), so the kernel would answer for VIPs too: ` +
        `sysctl -w net/ipv4/conf/${name}/proxy_arp=0 net/ipv4/conf/all/proxy_arp=0, ${guard}`,
    ),
    ...(config.services.some(({ vips }) => vips.some(isIpv6Text))
      ? doubleHandling6(facts, guard)
      : []),
  ];
}

function doubleHandling6({ forwarding6, proxyNdp }: HostFacts, guard: string): string[] {
  return [
    ...forwarding6.map(
      (name) =>
        `${name} forwards IPv6 packets (net.ipv6.conf.all.forwarding = 1, or force_forwarding of ` +
        `${name}), so the kernel would forward what the director forwards a second time: ` +
        `sysctl -w net.ipv6.conf.all.forwarding=0, ${guard}`,
    ),
    ...proxyNdp.map(
      (name) =>
        `${name} answers NDP for others (proxy_ndp = 1), so the kernel may answer for VIPs too: ` +
        `sysctl -w net/ipv6/conf/${name}/proxy_ndp=0 net/ipv6/conf/all/proxy_ndp=0, ${guard}`,
    ),
  ];
}
