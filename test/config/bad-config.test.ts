// Every kind of bad configuration: the exact place, what was found, what is allowed. A case is a
// good file in which one line is exchanged.
import { describe, expect, it } from 'vitest';
import { problemsOf, withLine } from './good-file.ts';

const PORT = 'a whole number from 1 to 65535';
const PORT_OR_RANGE = 'a port from 1 to 65535, or a range, such as 8000-8100';
const PORTS = `${PORT_OR_RANGE}, or any, or a list of ports and ranges`;
const NAME = 'a name of 1 to 63 letters, digits, . _ or -, with a letter or digit first';
const OWN = "the real's own address";
const NO_FRAME = 'the director answers for a VIP itself, so no frame could reach this real';
const WEIGHT = 'a whole number from 0 to 65535';
const TOP_KEYS =
  'the keys interfaces, datapath, workers, guard, socket, ring, timeouts, sourcePool, flows, ' +
  'tunnel, hashSeed, services';
const SERVICE_KEYS =
  'the keys vip, port, protocol, method, scheduler, hash, persistence, onePacket, slowStart, ' +
  'sorry, sources, limits, whenAllDown, reals';

type Case = [
  name: string,
  text: string,
  place: string,
  found: string,
  allowed: string,
  advice?: string,
];

const CASES: Case[] = [
  // Keys.
  [
    'an unknown key at the top',
    withLine(2, 'datapth: ring'),
    ':2:1 datapth',
    'the unknown key datapth',
    TOP_KEYS,
    'did you mean datapath?',
  ],
  [
    'an unknown key in a service',
    withLine(8, '    sheduler: rr'),
    ':8:5 services.web.sheduler',
    'the unknown key sheduler',
    SERVICE_KEYS,
    'did you mean scheduler?',
  ],
  [
    'an unknown key that is like none',
    withLine(8, '    colour: blue'),
    ':8:5 services.web.colour',
    'the unknown key colour',
    SERVICE_KEYS,
  ],
  [
    'an unknown key in a real',
    withLine(11, '      - { address: 192.0.2.22, wieght: 2 }'),
    ':11:32 services.web.reals[1].wieght',
    'the unknown key wieght',
    'the keys address, port, weight, method, name, interface, gateway, drain, thresholds',
    'did you mean weight?',
  ],
  [
    'an unknown key of the ring',
    withLine(2, 'ring: { slot: 64 }'),
    ':2:9 ring.slot',
    'the unknown key slot',
    'the keys slots',
    'did you mean slots?',
  ],
  [
    'a key written twice',
    withLine(6, '    port: 80', '    port: 81'),
    ':7:5 services.web.port',
    'the key port a second time',
    'each key once',
  ],
  [
    'a service written twice',
    withLine(12, '  web:'),
    ':12:3 services.web',
    'the service web a second time',
    'each service name once',
  ],
  [
    'a service name with a slash',
    withLine(4, '  a/b:'),
    ':4:3 services.a/b',
    'the service name "a/b"',
    NAME,
  ],
  [
    'a service name that records of JavaScript pass over',
    withLine(4, '  __proto__:'),
    ':4:3 services.__proto__',
    'the service name "__proto__"',
    NAME,
  ],
  [
    'a required key left out',
    withLine(7, '    # method: dsr'),
    ':4:3 services.web.method',
    'nothing',
    'one of: dsr, nat, fullnat, ipip, gue',
  ],
  // Numbers.
  ...['0', '70000', '-1', '80.5', '"80"', 'http'].map(
    (port): Case => [
      `the port ${port}`,
      withLine(6, `    port: ${port}`),
      ':6:11 services.web.port',
      `${port === 'http' ? '"http"' : port}`,
      /^-?\d+$/.test(port) ? PORT : PORTS,
    ],
  ),
  ...['-1', '70000', '1.5', 'much'].map(
    (weight): Case => [
      `the weight ${weight}`,
      withLine(11, `      - { address: 192.0.2.22, weight: ${weight} }`),
      ':11:40 services.web.reals[1].weight',
      `${weight === 'much' ? '"much"' : weight}`,
      WEIGHT,
    ],
  ),
  [
    'too few ring slots',
    withLine(2, 'ring: { slots: 63 }'),
    ':2:16 ring.slots',
    '63',
    'a whole number from 64 to 8192',
  ],
  [
    'too many flows',
    withLine(2, 'flows: { maximum: 16000001 }'),
    ':2:19 flows.maximum',
    '16000001',
    'a whole number from 1024 to 16000000',
  ],
  [
    'a source that is no network',
    withLine(7, '    method: dsr', '    sources: { deny: [192.0.2.1/24] }'),
    ':8:23 services.web.sources.deny[0]',
    '"192.0.2.1/24"',
    'a network or an address, such as 192.0.2.0/24 or 2001:db8::/32',
  ],
  [
    'a source that is allowed and denied',
    withLine(7, '    method: dsr', '    sources: { allow: [10.0.0.0/8], deny: [10.0.0.0/8] }'),
    ':8:14 services.web.sources',
    'a mapping',
    'each network in one of allow and deny',
  ],
  [
    'a hash seed beyond 32 bits',
    withLine(2, 'hashSeed: 4294967296'),
    ':2:11 hashSeed',
    '4294967296',
    'a whole number from 0 to 4294967295',
  ],
  // Names from a list.
  [
    'an unknown scheduler',
    withLine(8, '    scheduler: maglv'),
    ':8:16 services.web.scheduler',
    '"maglv"',
    'one of: rr, wrr, lc, wlc, sh, dh, maglev, rendezvous, sed, nq, fo, ovf, lblc, lblcr, ' +
      'random, twos, mh',
    'did you mean maglev?',
  ],
  // Flags of schedulers.
  [
    'an unknown flag',
    withLine(8, '    hash: { ports: true }'),
    ':8:13 services.web.hash.ports',
    'the unknown key ports',
    'the keys port, fallback, slots',
    'did you mean port?',
  ],
  [
    'a flag that is neither true nor false',
    withLine(8, '    hash: { port: 1 }'),
    ':8:19 services.web.hash.port',
    '1',
    'true or false',
  ],
  [
    'flags that are no mapping',
    withLine(8, '    hash: port'),
    ':8:11 services.web.hash',
    '"port"',
    'a mapping with port, fallback and slots',
  ],
  [
    'a flag for a scheduler that hashes something else',
    withLine(8, '    scheduler: dh', '    hash: { fallback: false, port: true }'),
    ':9:30 services.web.hash.port',
    'the flag port with scheduler dh',
    'the flag fallback',
    'port is for sh, maglev, rendezvous',
  ],
  [
    'a flag for a scheduler that hashes nothing',
    withLine(8, '    scheduler: wlc', '    hash: { fallback: true }'),
    ':9:13 services.web.hash.fallback',
    'the flag fallback with scheduler wlc',
    'no flags, for it hashes nothing',
    'fallback is for sh, dh, maglev',
  ],
  [
    'slots that are no such prime',
    withLine(8, '    hash: { slots: 4096 }'),
    ':8:20 services.web.hash.slots',
    '4096',
    'one of: 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 65537, 131071',
  ],
  [
    'slots for a scheduler that has as many as its weights ask for',
    withLine(8, '    scheduler: sh', '    hash: { slots: 4093 }'),
    ':9:13 services.web.hash.slots',
    'the flag slots with scheduler sh',
    'the flag port, fallback',
    'slots is for maglev',
  ],
  [
    'an unknown method',
    withLine(7, '    method: tunnel'),
    ':7:13 services.web.method',
    '"tunnel"',
    'one of: dsr, nat, fullnat, ipip, gue',
  ],
  [
    'an unknown datapath',
    withLine(2, 'datapath: xdp'),
    ':2:11 datapath',
    '"xdp"',
    'one of: ring, tc, cap',
  ],
  [
    'an unknown protocol',
    withLine(15, '    protocol: sctpp'),
    ':15:15 services.dns.protocol',
    '"sctpp"',
    'one of: tcp, udp, sctp',
    'did you mean sctp?',
  ],
  [
    'a relative socket path',
    withLine(2, 'socket: furiwake.sock'),
    ':2:9 socket',
    '"furiwake.sock"',
    'an absolute path of at most 107 bytes',
  ],
  [
    'a socket path that no sockaddr_un holds',
    withLine(2, `socket: /${'s'.repeat(107)}`),
    ':2:9 socket',
    `"/${'s'.repeat(58)}…`,
    'an absolute path of at most 107 bytes',
  ],
  // Lists and mappings.
  [
    'no reals',
    withLine(17, '    reals: []'),
    ':17:12 services.dns.reals',
    'an empty list',
    'a list of at least one real',
  ],
  [
    'no interfaces',
    withLine(1, 'interfaces: []'),
    ':1:13 interfaces',
    'an empty list',
    'a list of 1 to 8 interface names',
  ],
  [
    'one interface without a list',
    withLine(1, 'interfaces: eth0'),
    ':1:13 interfaces',
    '"eth0"',
    'a list of 1 to 8 interface names',
  ],
  [
    'an interface name that the kernel refuses',
    withLine(1, 'interfaces: [eth0, eth1, "a name of more than 15"]'),
    ':1:26 interfaces[2]',
    '"a name of more than 15"',
    'the name of a network interface, 1 to 15 characters without spaces, / and :',
  ],
  [
    'an interface given twice',
    withLine(1, 'interfaces: [eth0, eth1, eth0]'),
    ':1:26 interfaces[2]',
    '"eth0" a second time',
    'each interface once',
  ],
  [
    'no services',
    'interfaces: [eth0]\nservices: {}',
    ':2:11 services',
    'an empty mapping',
    'a mapping of at least one service, by name',
  ],
  [
    'an empty file',
    '',
    ':1:1',
    'nothing',
    'a mapping with interfaces and services; furiwake check --example prints one',
  ],
  // What does not fit together.
  [
    'a VIP, port and protocol in two services',
    withLine(
      12,
      '  www: { vip: 192.0.2.10, port: 80, method: nat, reals: [198.51.100.9] }',
      '  dns:',
    ),
    ':12:15 services.www.vip',
    'tcp 192.0.2.10:80, which service web has already',
    'each VIP, port and protocol in one service',
  ],
  [
    'a real given twice, once in the short form',
    withLine(11, '      - { address: 192.0.2.21, port: 80 }'),
    ':11:9 services.web.reals[1]',
    '192.0.2.21:80 a second time',
    'each real once in a service',
  ],
  [
    'a name of a real given twice',
    withLine(10, '      - { address: 192.0.2.21, name: r2 }'),
    ':11:49 services.web.reals[1].name',
    'r2 a second time',
    'each name once in a service',
  ],
  [
    'a DSR real with a port of its own',
    withLine(11, '      - { address: 192.0.2.22, port: 8080 }'),
    ':11:38 services.web.reals[1].port',
    '8080',
    '80, the port of the service',
    'DSR cannot map ports; IPVS silently resets it, we refuse. Methods nat and fullnat can map it',
  ],
  [
    'a real that is its VIP',
    withLine(10, '      - 192.0.2.10'),
    ':10:9 services.web.reals[0]',
    '192.0.2.10, the VIP of its own service',
    OWN,
    NO_FRAME,
  ],
  [
    'a real that is the VIP of another service',
    withLine(10, '      - 192.0.2.53'),
    ':10:9 services.web.reals[0]',
    '192.0.2.53, the VIP of service dns',
    OWN,
    NO_FRAME,
  ],
  [
    'a real behind an interface that is not in the list',
    withLine(17, '    reals: [{ address: 198.51.100.11, port: 5353, interface: eth2 }]'),
    ':17:62 services.dns.reals[0].interface',
    '"eth2"',
    'an interface of the list at the top: eth0, eth1',
    'did you mean eth0?',
  ],
  // YAML.
  [
    'a tab in the indentation',
    withLine(6, '\tport: 80'),
    ':6:1',
    'a tab in the indentation',
    'spaces only',
  ],
  [
    'a list that is not closed',
    withLine(1, 'interfaces: [eth0, eth1'),
    ':2:1',
    'a syntax error: Flow sequence in block collection ' +
      'must be sufficiently indented and end with a ]',
    'YAML 1.2',
  ],
  [
    'a second document',
    withLine(2, '---'),
    ':2:1',
    'a second document (---)',
    'one document in a file',
  ],
  [
    'an alias without its anchor',
    withLine(5, '    vip: *vip'),
    ':5:10 services.web.vip',
    '*vip, which is defined nowhere above',
    'an alias of an anchor, &vip',
  ],
  [
    'a key that is a list',
    withLine(2, '? [a]', ': 1'),
    ':1:1',
    'a key that is no text',
    'keys of text',
  ],
];

describe('a bad configuration', () => {
  it.each(CASES)('%s', (_, text, place, found, allowed, advice) => {
    const tail = advice === undefined ? '' : ` (${advice})`;
    expect(problemsOf(text)).toEqual([`f.yaml${place}: found ${found}, allowed ${allowed}${tail}`]);
  });

  it('tells all its problems together, in the order of the file', () => {
    const text = [
      'interfaces: [eth0]',
      'gaurd: auto',
      'services:',
      '  web:',
      '    vip: 127.0.0.1',
      '    port: 0',
      '    method: dsr',
      '    reals: [{ address: 192.0.2.21, weight: -1 }, 192.0.2.22, 192.0.2.22]',
      '  web:',
      '    vip: 192.0.2.10',
      '    port: 70000',
      '    method: dsr',
      '    reals: [{ address: 192.0.2.21, weight: -1 }, 192.0.2.21, 192.0.2.10]',
      '  dns: {}',
    ].join('\n');
    const places = problemsOf(text).map((problem) => problem.split(': found')[0]);
    expect(places).toEqual([
      'f.yaml:2:1 gaurd',
      'f.yaml:9:3 services.web',
      'f.yaml:11:11 services.web.port',
      'f.yaml:13:44 services.web.reals[0].weight',
      'f.yaml:13:62 services.web.reals[2]',
      'f.yaml:14:3 services.dns.vip',
      'f.yaml:14:3 services.dns.port',
      'f.yaml:14:3 services.dns.method',
      'f.yaml:14:3 services.dns.reals',
    ]);
  });

  it('tells of every tab, and of nothing that only follows from one', () => {
    const text = 'services:\n\tweb:\n\t\tvip: 192.0.2.10\n    port: 80\n';
    expect(problemsOf(text)).toEqual([
      'f.yaml:2:1: found a tab in the indentation, allowed spaces only',
      'f.yaml:3:1: found a tab in the indentation, allowed spaces only',
    ]);
  });
});
