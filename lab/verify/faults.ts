// The faults that verify can name: for each the host, the cause in one sentence, and the one line
// that mends it. A line that starts with a command is to be run on that host.
import { isIpv6, questionFor } from '../topologies/topology.ts';

export type FaultKind =
  | 'vip-missing'
  | 'real-answers-arp'
  | 'no-return-route'
  | 'decap-missing'
  | 'tunnel-filtered'
  | 'wrong-tunnel'
  | 'pool-taken'
  | 'pool-unreachable'
  | 'wrong-checksum'
  | 'server-dead'
  | 'server-silent'
  | 'real-unreachable'
  | 'director-silent'
  | 'director-rewrote'
  | 'wrong-mac'
  | 'wrong-ttl'
  | 'wrong-next-hop'
  | 'wrong-source'
  | 'reply-through-director'
  | 'several-reals'
  | 'not-delivered'
  | 'data-differs'
  | 'no-handshake'
  | 'echo-unanswered';

export interface Fault {
  readonly kind: FaultKind;
  readonly host: string;
  readonly cause: string;
  readonly mend: string;
}

const DEFECT =
  'a defect of the director, not of the set-up: report it together with these captures';

const hostBits = (address: string): number => (isIpv6(address) ? 128 : 32);

export const vipMissing = (host: string, vip: string): Fault => ({
  kind: 'vip-missing',
  host,
  cause: `requests to ${vip} arrive at ${host} and nothing leaves it: ${host} has no ${vip} on lo, so its kernel drops them`,
  mend: `ip addr add ${vip}/${hostBits(vip)} dev lo`,
});

export const realAnswersArp = (host: string, vip: string): Fault => ({
  kind: 'real-answers-arp',
  host,
  cause: `${host} claims the VIP ${vip} in ${questionFor(vip)} with its own MAC address, so that clients send past the director`,
  mend: isIpv6(vip)
    ? `ip addr del ${vip}/128 dev eth0 (the VIP belongs on lo)`
    : 'sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
});

export const noReturnRoute = (host: string, gateway: string, taken: string | undefined): Fault => ({
  kind: 'no-return-route',
  host,
  cause:
    taken === undefined
      ? `requests arrive at ${host} and no reply leaves it: ${host} has no route back to the client`
      : `${host} sends its replies to ${taken} instead of the director`,
  mend: `ip route replace default via ${gateway}`,
});

export const decapMissing = (host: string, vip: string): Fault => ({
  kind: 'decap-missing',
  host,
  cause: `tunnel packets arrive at ${host} and its kernel refuses them: nothing there takes packets out of tunnels`,
  mend: `furiwake decap --vip ${vip}`,
});

export const tunnelFiltered = (host: string, source: string): Fault => ({
  kind: 'tunnel-filtered',
  host,
  cause: `tunnel packets arrive at ${host}, nothing leaves it, and it refuses none: its reverse-path filter, or a firewall, drops what comes from ${source}`,
  mend: isIpv6(source)
    ? `ip route add ${source}/128 via its router, by eth0 (or take the rule out of "nft list ruleset")`
    : `sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 (or give ${host} a route to ${source} by eth0)`,
});

export const wrongTunnel = (host: string, what: string): Fault => ({
  kind: 'wrong-tunnel',
  host,
  cause: `${host} sends requests with ${what}`,
  mend: DEFECT,
});

export const poolTaken = (host: string, address: string): Fault => ({
  kind: 'pool-taken',
  host,
  cause: `${host} claims ${address} of the source pool in ${questionFor(address)} with its own MAC address, so that replies to the director reach ${host}`,
  mend: `ip addr del ${address}/${hostBits(address)} dev eth0 (or take the address out of sourcePool)`,
});

export const poolUnreachable = (host: string, address: string, gateway: string): Fault => ({
  kind: 'pool-unreachable',
  host,
  cause: `requests arrive at ${host} from ${address} of the source pool and no reply leaves it: ${host} has no route there`,
  mend: `ip route add ${address}/${hostBits(address)} via ${gateway} (or choose a sourcePool of its own network)`,
});

export const wrongChecksum = (host: string, field: string, role: string): Fault => ({
  kind: 'wrong-checksum',
  host,
  cause:
    role === 'director'
      ? `packets enter ${host} with a right ${field} checksum and leave it with a wrong one`
      : `${host} sends packets with a wrong ${field} checksum`,
  mend: role === 'director' ? DEFECT : 'ethtool -K eth0 tx off',
});

export const serverDead = (host: string, port: number): Fault => ({
  kind: 'server-dead',
  host,
  cause: `${host} refuses port ${port}: no server listens there`,
  mend: `start the server of port ${port}; "ss -lntu" shows what listens`,
});

export const serverSilent = (host: string, port: number): Fault => ({
  kind: 'server-silent',
  host,
  cause: `requests to port ${port} arrive at ${host} and are not answered, though ${host} answers others`,
  mend: `restart the server of port ${port}; "ss -lntu" shows what listens`,
});

export const realUnreachable = (host: string, address: string): Fault => ({
  kind: 'real-unreachable',
  host,
  cause: `the director asks for the MAC address of ${address} and ${host} never answers`,
  mend: 'ip link set eth0 up',
});

export const directorSilent = (host: string, way: 'requests' | 'replies'): Fault => ({
  kind: 'director-silent',
  host,
  cause: `${way} enter ${host} and do not come out`,
  mend: 'furiwake status (it counts what was dropped, by reason)',
});

export const directorRewrote = (host: string, what: string): Fault => ({
  kind: 'director-rewrote',
  host,
  cause: `${host} changed ${what} on the way through`,
  mend: DEFECT,
});

export const wrongMac = (host: string, what: string): Fault => ({
  kind: 'wrong-mac',
  host,
  cause: `${host} sends requests with ${what}`,
  mend: DEFECT,
});

export const wrongTtl = (host: string, from: number, to: number, wanted: number): Fault => ({
  kind: 'wrong-ttl',
  host,
  cause: `${host} turns a TTL of ${from} into ${to}; it must be ${wanted}`,
  mend: DEFECT,
});

export const wrongNextHop = (host: string, mac: string): Fault => ({
  kind: 'wrong-next-hop',
  host,
  cause: `${host} sends replies to ${mac}, which is not where the requests came from`,
  mend: DEFECT,
});

export const realAsSource = (host: string, source: string, vip: string): Fault => ({
  kind: 'wrong-source',
  host,
  cause: `${host} replies from ${source} instead of the VIP ${vip}`,
  mend: `let its server listen on ${isIpv6(vip) ? '::' : '0.0.0.0'} or on ${vip}; "ss -lntu" shows on what it listens`,
});

export const foreignSource = (host: string, source: string): Fault => ({
  kind: 'wrong-source',
  host,
  cause: `the client gets frames from ${source} by ${host} instead of the VIP`,
  mend: DEFECT,
});

export const replyThroughDirector = (host: string, gateway: string): Fault => ({
  kind: 'reply-through-director',
  host,
  cause: `${host} sends its replies to the director instead of the client`,
  mend: `ip route del default via ${gateway} (replies must go straight to the client)`,
});

export const severalReals = (host: string, reals: readonly string[]): Fault => ({
  kind: 'several-reals',
  host,
  cause: `${host} sends packets of one flow to ${reals.join(' and ')}`,
  mend: DEFECT,
});

export const notDelivered = (host: string, way: string): Fault => ({
  kind: 'not-delivered',
  host,
  cause: `${way} never arrive at ${host}`,
  mend: 'ip -s link show eth0 (it counts what was lost on the link)',
});

export const dataDiffers = (host: string, way: string): Fault => ({
  kind: 'data-differs',
  host,
  cause: `the data that ${host} received as ${way} is not what was sent`,
  mend: DEFECT,
});

export const noHandshake = (host: string): Fault => ({
  kind: 'no-handshake',
  host,
  cause: `the client's connections to ${host} do not complete`,
  mend: 'furiwake lab shell client (then curl -v to the VIP shows how far it gets)',
});

export const echoUnanswered = (host: string, vip: string): Fault => ({
  kind: 'echo-unanswered',
  host,
  cause: `${host} does not answer ping to ${vip}`,
  mend: 'furiwake status (is the director running on this interface?)',
});
