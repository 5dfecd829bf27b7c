// What the kernel says of its network interfaces: sysfs for the interface itself, the routing trie
// in /proc for the host's own addresses. No privilege is needed. An interface that is down keeps
// its addresses, but os.networkInterfaces() hides them: then `ip` is asked, and only then.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';

const SYSFS = '/sys/class/net';
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

export type InterfaceLink = 'up' | 'down' | 'gone';

export interface InterfaceAddress {
  /** As people write it: dotted, or in the short form of IPv6 (RFC 5952). */
  readonly address: string;
  readonly prefixLength: number;
}

export interface NetworkInterface {
  readonly name: string;
  /** Kernel interface index. A new interface of the same name has another one. */
  readonly index: number;
  /**
   * Six bytes in hexadecimal with colons; an interface without Ethernet has fewer or other ones.
   */
  readonly mac: string;
  readonly mtu: number;
  /** VLANs whose frames other interfaces of this host get from it. */
  readonly vlans: readonly number[];
  readonly loopback: boolean;
  /** True if frames on it have an Ethernet header (ARPHRD_ETHER, include/uapi/linux/if_arp.h). */
  readonly ethernet: boolean;
  readonly link: 'up' | 'down';
  /** IPv4. */
  readonly addresses: readonly InterfaceAddress[];
  /** IPv6, those that everybody can reach before link-local ones. */
  readonly addresses6: readonly InterfaceAddress[];
}

export type InterfaceResult =
  | { readonly ok: true; readonly interface: NetworkInterface }
  | { readonly ok: false; readonly problem: string };

/** One attribute of an interface, or undefined where the kernel gives none (or no interface). */
function attribute(name: string, file: string): string | undefined {
  try {
    return readFileSync(`${SYSFS}/${name}/${file}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The names of all interfaces of this network namespace, sorted. */
export function interfaceNames(): string[] {
  // Not sysfs: that shows the namespace it was mounted in, /proc/net shows that of the process.
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
  return lines.flatMap((line) => /^\s*(\S+):/.exec(line)?.[1] ?? []).sort();
}

/**
 * The state of the link of the interface that had this name and index.
 * @returns `down` without a carrier or if set down, `gone` if it is no more or another now
 */
export function linkState(name: string, index: number): InterfaceLink {
  if (attribute(name, 'ifindex') !== String(index)) return 'gone';
  return linkOf(name);
}

function linkOf(name: string): 'up' | 'down' {
  if ((flagsOf(name) & IFF_UP) === 0) return 'down';
  // Not operstate, which may lag a second behind (net/core/link_watch.c).
  return attribute(name, 'carrier') === '1' ? 'up' : 'down';
}

const flagsOf = (name: string): number => Number(attribute(name, 'flags') ?? 0);

/** Reads one interface, or says that there is none and which there are. */
export function readInterface(name: string): InterfaceResult {
  const names = interfaceNames();
  if (!names.includes(name)) {
    return { ok: false, problem: `no interface ${name}; there are: ${names.join(', ') || 'none'}` };
  }
  const index = Number(attribute(name, 'ifindex') ?? 0);
  if (index === 0) {
    const problem = `${SYSFS} does not show the interface ${name} of this network namespace; mount sysfs in it (as ip netns exec does)`;
    return { ok: false, problem };
  }
  return {
    ok: true,
    interface: {
      name,
      index,
      mac: attribute(name, 'address') ?? '',
      mtu: Number(attribute(name, 'mtu') ?? 0),
      vlans: vlansOn(name),
      loopback: (flagsOf(name) & IFF_LOOPBACK) !== 0,
      ethernet: attribute(name, 'type') === '1',
      link: linkOf(name),
      addresses: addressesOf(name),
      addresses6: addresses6Of(name),
    },
  };
}

function addressesOf(name: string): InterfaceAddress[] {
  const shown = (networkInterfaces()[name] ?? []).filter((entry) => entry.family === 'IPv4');
  if (shown.length === 0) return askIp(name);
  return shown.map(({ address, cidr }) => ({
    address,
    prefixLength: Number(cidr?.split('/')[1] ?? 32),
  }));
}

/** Addresses by `ip`; none if it is not installed, which then only a link that is down notices. */
function askIp(name: string): InterfaceAddress[] {
  const run = spawnSync('ip', ['-j', '-4', 'address', 'show', 'dev', name], { encoding: 'utf8' });
  if (run.status !== 0) return [];
  return parseIpAddresses(run.stdout);
}

/** The IPv4 addresses in the output of `ip -j -4 address`. */
export function parseIpAddresses(json: string): InterfaceAddress[] {
  const links = JSON.parse(json || '[]') as {
    addr_info?: { family: string; local: string; prefixlen: number }[];
  }[];
  return links
    .flatMap((link) => link.addr_info ?? [])
    .filter((entry) => entry.family === 'inet')
    .map((entry) => ({ address: entry.local, prefixLength: entry.prefixlen }));
}

/** Not by os.networkInterfaces(), which hides what `ip` shows, as addresses that are tentative. */
function addresses6Of(name: string): InterfaceAddress[] {
  const own = parseIfInet6(readOptional('/proc/net/if_inet6')).filter((row) => row.name === name);
  return own
    .sort((one, other) => Number(one.linkLocal) - Number(other.linkLocal))
    .map(({ address, prefixLength }) => ({ address, prefixLength }));
}

export interface Inet6Row extends InterfaceAddress {
  readonly name: string;
  readonly linkLocal: boolean;
}

const IFA_F_DADFAILED = 0x08;
const SCOPE_LINK = 0x20;

/**
 * The lines of /proc/net/if_inet6 (net/ipv6/addrconf.c, if6_seq_show) but for addresses that turned
 * out to be another host's.
 */
export function parseIfInet6(text: string): Inet6Row[] {
  return text.split('\n').flatMap((line): Inet6Row[] => {
    const [digits = '', , prefix = '', scope = '', flags = '', name = ''] = line
      .trim()
      .split(/\s+/);
    if (digits.length !== 32 || Number.parseInt(flags, 16) & IFA_F_DADFAILED) return [];
    const prefixLength = Number.parseInt(prefix, 16);
    const linkLocal = Number.parseInt(scope, 16) === SCOPE_LINK;
    return [{ name, address: addressOfDigits(digits), prefixLength, linkLocal }];
  });
}

/** 32 hexadecimal digits as the address that they are, in its short form. */
function addressOfDigits(digits: string): string {
  const address = digits.replace(/....(?!$)/g, '$&:');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

/** Empty where there is no such file: a kernel without IPv6. */
function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** None where the kernel has no such file: there never was a VLAN in this namespace then. */
function vlansOn(name: string): number[] {
  try {
    return parseVlanConfig(readFileSync('/proc/net/vlan/config', 'utf8'), name);
  } catch {
    return [];
  }
}

/** The VLANs on an interface, of lines such as `eth0.10 | 10 | eth0` (net/8021q/vlanproc.c). */
export function parseVlanConfig(text: string, name: string): number[] {
  const rows = text.split('\n').map((line) => line.split('|').map((part) => part.trim()));
  return rows.flatMap(([, vlan, parent]) => (parent === name ? [Number(vlan)] : []));
}

/**
 * All addresses and ranges of both families that the kernel takes for its own, as `127.0.0.0/8` is.
 * Addresses of interfaces that are down are among them, if the kernel keeps them.
 */
export function hostAddresses(): InterfaceAddress[] {
  const routed = parseIpv6Route(readOptional('/proc/net/ipv6_route'));
  // One that is still tentative has no route yet.
  const others = parseIfInet6(readOptional('/proc/net/if_inet6'))
    .filter(({ address }) => !routed.some((route) => route.address === address))
    .map(({ address }) => ({ address, prefixLength: 128 }));
  return [...parseFibTrie(readFileSync('/proc/net/fib_trie', 'utf8')), ...routed, ...others];
}

const RTF_LOCAL = 0x8000_0000;

/** The local entries of /proc/net/ipv6_route (ip6_fib.c, ipv6_route_native_seq_show), each once. */
export function parseIpv6Route(text: string): InterfaceAddress[] {
  const found = new Map<string, InterfaceAddress>();
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [digits = '', prefix = ''] = words;
    if (words.length !== 10 || (Number.parseInt(words[8] ?? '', 16) & RTF_LOCAL) === 0) continue;
    const prefixLength = Number.parseInt(prefix, 16);
    found.set(`${digits}/${prefix}`, { address: addressOfDigits(digits), prefixLength });
  }
  return [...found.values()];
}

/** The local entries of /proc/net/fib_trie (net/ipv4/fib_trie.c, fib_trie_seq_show), each once. */
export function parseFibTrie(text: string): InterfaceAddress[] {
  const found = new Map<string, InterfaceAddress>();
  let address = '';
  for (const line of text.split('\n')) {
    address = /^\s*\|-- ([\d.]+)$/.exec(line)?.[1] ?? address;
    const prefix = /^\s*\/(\d+) host LOCAL$/.exec(line)?.[1];
    if (prefix === undefined) continue;
    found.set(`${address}/${prefix}`, { address, prefixLength: Number(prefix) });
  }
  return [...found.values()];
}
