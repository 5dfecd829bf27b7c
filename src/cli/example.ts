// The configuration that `furiwake check --example` prints: every key once, with what it is for.
// A test holds it against the schema, so it is always a good file.

export const EXAMPLE_CONFIG = `# furiwake.yaml: what the director balances, and onto which reals.
# Check it:  furiwake check --config furiwake.yaml
# Run it:    furiwake run --config furiwake.yaml
# Editors complete and check it with:  furiwake check --schema > furiwake.schema.json
# yaml-language-server: $schema=furiwake.schema.json

# Interfaces that the director works on, 1 to 8. The VIPs must be on none of them: the director
# answers ARP for its VIPs itself.
interfaces: [eth0, eth1]

# Everything up to \`services\` may be left out; these are the defaults.
datapath: ring               # ring: the kernel's packet ring. tc: the same, and the kernel repeats
                             # by itself what was decided of a flow (CAP_BPF, Linux 6.6).
                             # cap: libpcap, portable but slower
workers: 1                   # threads that forward, 1 to 16, each on a processor of its own
guard: auto                  # auto: keep this host's kernel away from VIP frames, if permitted
                             # off: only check at start that it keeps away by itself
socket: /run/furiwake.sock   # where \`furiwake status\` asks
ring: { slots: 2048 }        # receive slots of each interface, 64 to 8192; about 10.5 KiB each
flows:
  maximum: 262144            # most flows to remember, 1024 to 16000000
  halfOpenMaximum: 65536     # most without a third packet; well above ring.slots
# How long a flow lives without a packet, by state; these are the defaults, as in IPVS.
# timeouts: { established: 15m, synSent: 2m, synRecv: 60s, finWait: 2m, timeWait: 2m, close: 10s,
#             closeWait: 60s, lastAck: 30s, listen: 2m, synAck: 2m, udp: 5m,
#             sctpInit1: 4s, sctpInit: 61s, sctpCookieSent: 61s, sctpCookieReplied: 61s,
#             sctpCookieWait: 61s, sctpCookie: 61s, sctpCookieEchoed: 61s, sctpEstablished: 15m,
#             sctpShutdownSent: 61s, sctpShutdownReceived: 61s, sctpShutdownAckSent: 61s,
#             sctpRejected: 4s, sctpClosed: 61s }
sourcePool:                  # who stands for the clients by method fullnat; none by default
  # Like VIPs: on no interface, the director answers ARP or NDP for them. IPv6 beside IPv4 will do.
  addresses: [198.51.100.200]
  ports: 1024-65535          # each serves one flow for each address and port of a real
hashSeed: 0                  # 0 to 4294967295; directors that shall choose alike share it
tunnel:                      # outer packets of the methods ipip and gue
  port: 6080                 # UDP port of gue at the reals
  # sources: 172.16.0.0/16   # each flow has one; by default the interface's own address

services:
  # DSR: the director changes MAC addresses only, and the real answers the client directly.
  # Each real has the VIP on its own \`lo\` and keeps quiet about it (arp_ignore=1, arp_announce=2).
  web:
    vip: 192.0.2.10
    port: 80                 # or [80, 8000-8100], or any; vip may be a list or a prefix too
    protocol: tcp            # tcp (default), udp, sctp, or a list of them
    method: dsr
    scheduler: maglev        # the default; \`furiwake schedulers\` compares them all
    hash: { port: true, fallback: true, slots: 65537 }   # of sh, dh, maglev, rendezvous; defaults
                             # port: the client's port counts, not its address alone
                             # fallback: new flows of a real with weight 0 go to others
    reals:
      - 192.0.2.21           # short for { address: 192.0.2.21 }: weight 1, the service's port
      - { address: 192.0.2.22, weight: 2, name: web-2 }
      - { address: 192.0.2.23, weight: 0, name: web-3 }   # 0: known flows only, no new ones

    # What else a service may ask for:
    # persistence: { timeout: 6m, prefix: 32, prefix6: 128 }   # a client stays with its real
    # slowStart: 30s         # a real that is back gets a growing share; not with a hash
    # sources: { allow: [192.0.2.0/24], deny: [192.0.2.7] }   # who may open flows
    # limits: { flowsPerClient: 500, newFlowsPerSecond: 50, burst: 200 }   # of each client
    # onePacket: true        # udp by dsr or a tunnel: each datagram is scheduled alone
    # sorry: 192.0.2.99      # serves while no real can take new flows
    # whenAllDown: sorry     # or refuse; or failOpen: to all reals as if they were up
    # and what else a real may have, beside its address and weight:
    # thresholds: { upper: 1000, lower: 800 }   # most flows, and when it takes more again
    # drain: { old: reset, timeout: 60s }       # no new flows; old ones: keep, cut or reset

  # IPv6: a VIP of IPv6 takes reals of IPv6 (by tunnels of IPv4 too), and the director answers NDP
  # for it. Nothing else differs; a real has this VIP on its \`lo\` too, and needs no sysctl to keep quiet about it.
  web6:
    vip: 2001:db8::10
    port: 80
    method: dsr
    reals: [2001:db8::21, 2001:db8::22]

  # NAT: the director changes address and port. The answer comes back through the director, so
  # it must be the real's default gateway (or the route to the clients).
  dns:
    vip: 192.0.2.53
    port: 53
    protocol: udp
    method: nat
    scheduler: sh            # a client stays on its real
    reals:
      - { address: 198.51.100.11, port: 5353, interface: eth1 }
      - { address: 198.51.100.12, port: 5353, interface: eth1 }
      # A real may have a method of its own. fullnat: it sees an address of the source pool as its
      # client, so the answer comes back here whatever its default gateway is.
      - { address: 198.51.100.13, port: 5353, interface: eth1, method: fullnat }

  # A tunnel, ipip or gue: the real may be in any subnet, and answers the client directly. It has the
  # VIP on \`lo\`, and a tunnel device or \`furiwake decap\`.
  far:
    vip: 192.0.2.11
    port: 443
    method: gue
    reals:
      - { address: 203.0.113.21, gateway: 198.51.100.1 }   # by default the host's route to it
`;
