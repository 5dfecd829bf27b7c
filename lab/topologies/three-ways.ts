// One set of reals that a client reaches in three ways: by itself, through a director with DSR, and
// through the same director with NAT. What is compared then differs in the way alone: the servers,
// the machine and the hour are the same. It is the topologies dsr and nat laid together:
//
//   client eth0 --- outside --- eth0 director eth1 --+
//     |                 NAT VIP                      +-- inside --- r1 r2 r3 (DSR VIPs on lo)
//     +-- eth1 ------------------ direct and DSR ----+
//
// A fourth way, by a DSR VIP of its own, is the kernel's of the director's host, for the others to
// be measured against. The default route of the reals leads to the director's inner arm. The
// client's inner arm is on their own segment: answers to it, direct or DSR, never take that route.
import { stringify } from 'yaml';
import { addressOf, type Host, type HostArm, macFor, type Network, realsOf } from './topology.ts';

export const DSR_VIP = '10.77.0.100';
/** Nobody's but the kernel's of the director's host. */
export const FORWARD_VIP = '10.77.0.101';
/** On the proxies of the cache alone: their client spreads what it sends there by itself. */
export const SPREAD_VIP = '10.77.0.102';
export const NAT_VIP = '198.51.100.100';
const GATEWAY = '10.77.0.1';

function outside(address: string): HostArm {
  const mac = macFor(1, address);
  return { name: 'eth0', segment: 'outside', address, prefixLength: 24, mac };
}

function inside(name: 'eth0' | 'eth1', address: string): HostArm {
  return { name, segment: 'inside', address, prefixLength: 24, mac: macFor(2, address) };
}

function between(role: 'client' | 'director', arms: readonly HostArm[]): Host {
  return { name: role, role, arms, gateway: null, loopback: [], sysctls: {} };
}

function real(name: string, address: string): Host {
  return {
    name,
    role: 'real',
    arms: [inside('eth0', address)],
    gateway: GATEWAY,
    loopback: [DSR_VIP, FORWARD_VIP],
    sysctls: { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' },
  };
}

export const THREE_WAYS: Network = {
  name: 'three-ways',
  segments: [
    { name: 'outside', subnet: '198.51.100.0/24' },
    { name: 'inside', subnet: '10.77.0.0/24' },
  ],
  hosts: [
    between('client', [outside('198.51.100.10'), inside('eth1', '10.77.0.10')]),
    between('director', [outside('198.51.100.2'), inside('eth1', GATEWAY)]),
    real('r1', '10.77.0.11'),
    real('r2', '10.77.0.12'),
    real('r3', '10.77.0.13'),
  ],
};

export interface ThreeWaysOptions {
  readonly port: number;
  /** Path of the API's Unix socket. */
  readonly socket: string;
  /** `ring` unless given. */
  readonly datapath?: 'ring' | 'tc';
  /** All reals unless given. */
  readonly reals?: readonly Host[];
}

/**
 * The director's configuration: one TCP service a way, each on all reals in turn, as a client with
 * a list of servers takes them.
 */
export function threeWaysConfig(options: ThreeWaysOptions): string {
  const { port, socket, datapath = 'ring' } = options;
  const hosts = options.reals ?? realsOf(THREE_WAYS);
  const reals = hosts.map((each) => ({ name: each.name, address: addressOf(each) }));
  const service = { port, protocol: 'tcp', scheduler: 'rr', reals };
  const config = {
    interfaces: ['eth0', 'eth1'],
    datapath,
    socket,
    services: {
      dsr: { vip: DSR_VIP, method: 'dsr', ...service },
      nat: { vip: NAT_VIP, method: 'nat', ...service },
    },
  };
  const comment = '# The director of reals that are compared direct, with DSR and with NAT.\n';
  return comment + stringify(config, { aliasDuplicateObjects: false });
}
