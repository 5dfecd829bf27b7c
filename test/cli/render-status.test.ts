// What `furiwake status` shows, word for word, and that it fits a terminal.
import { stripVTControlCharacters } from 'node:util';
import picocolors from 'picocolors';
import { describe, expect, it } from 'vitest';
import { PLAIN, WIDTH } from '../../src/cli/output.ts';
import { renderStatus } from '../../src/cli/render-status.ts';
import type { FlowStatus } from '../../src/control/status.ts';
import { BUSY_STATUS, QUIET_STATUS } from './statuses.ts';

const FLOW: FlowStatus = {
  protocol: 'tcp',
  client: '203.0.113.5',
  clientPort: 40_000,
  vip: '192.0.2.10',
  vipPort: 80,
  real: '192.0.2.21',
  realPort: 80,
  method: 'dsr',
  state: 'established',
  expiresInMs: 899_999,
};

// The longest line is WIDTH wide: there is a name that had to be shortened.
const BUSY = `furiwake 0.1.0  up 2 h 13 min  pid 4711  datapath ring  guard nft  memory 92.1 MiB
configuration /etc/furiwake.yaml

! The link of eth1 is down: nothing is received or sent there. Bring it up (ip link set eth1 up) or
  check the cable; the director then goes on by itself.
! Another host claims a VIP (3 packets), so clients may pass the director by. The director's log
  names its MAC address. If it is a DSR real: sysctl -w net.ipv4.conf.all.arp_ignore=1
  net.ipv4.conf.all.arp_announce=2 there. If not, one of the two must give up the address.
! Real 192.0.2.22:80 of web does not answer ARP on eth0, so what is sent to it is dropped. Is it up,
  and on this link? Try: arping -I eth0 192.0.2.22

SERVICES
REAL        ADDRESS            WEIGHT  NEIGHBOUR  ACTIVE  OPENED      IN     BYTES     OUT     BYTES
web  tcp 192.0.2.10:80  dsr  maglev
  -         192.0.2.21:80           1  ok             12  23,456    123k  95.4 MiB  direct         -
  web-2-i…  192.0.2.22:80           2  no answer       0       3      12     999 B  direct         -
dns  udp 192.0.2.53:53  nat  sh (port: true)
  dns-1     198.51.100.1:5353   65535  resolving  99,999  99,999  99,999  1.00 GiB    123M  4.55 TiB

ARMS
INTERFACE  LINK  ADDRESS       RECEIVED     BYTES    SENT    BYTES  MISSED  FAILED
eth0       up    192.0.2.1/24     1.23M  4.66 GiB  99,999  477 MiB       0       0
eth1       down  none                 0       0 B       0      0 B      12       1

TOTALS
flows   123 active of at most 262,144, 4,567 opened, 4,444 ended, 0 evicted
floods  0 half open of at most 65,536, 0 packets sent on statelessly
frames  12.3M sent on, 12 answered (10 ARP, 0 NDP, 2 ping), 5 not ours, 34 dropped
errors  21 ICMP errors sent on, 4 of our own, 1 withheld, 6 packets cut, 2 fragments held

DROPS
REASON              FRAMES  MEANING
no-service              31  no service has this VIP, port and protocol
ipv4-header-length       3  the IPv4 header length is below 20 bytes or beyond the frame

FLOWS 1 of 123
     CLIENT             VIP            REAL           METHOD  STATE         EXPIRES IN
tcp  203.0.113.5:40000  192.0.2.10:80  192.0.2.21:80  dsr     established  14 min 59 s`;

describe('the status of a busy director', () => {
  const text = renderStatus(BUSY_STATUS, [FLOW], PLAIN);

  it('shows warnings with what to do, services, arms, totals, drops and flows', () => {
    expect(text).toBe(BUSY);
  });

  it('fits the width', () => {
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBe(WIDTH);
  });

  it('says the same in colours', () => {
    const coloured = renderStatus(BUSY_STATUS, [FLOW], picocolors.createColors(true));
    expect(coloured).toContain('\x1b[31mno answer\x1b[39m');
    const trimmed = stripVTControlCharacters(coloured).replaceAll(/ +$/gm, '');
    expect(trimmed).toBe(text);
  });
});

it('shows a director where nothing has happened', () => {
  expect(renderStatus(QUIET_STATUS, undefined, PLAIN)).toMatchInlineSnapshot(`
    "furiwake 0.1.0  up 0 s  pid 4711  datapath ring  guard none  memory 80.0 MiB
    configuration /etc/furiwake.yaml

    SERVICES
    REAL  ADDRESS        WEIGHT  NEIGHBOUR  ACTIVE  OPENED  IN  BYTES     OUT  BYTES
    web  tcp 192.0.2.10:80  dsr  maglev
      -   192.0.2.21:80       1  ok              0       0   0    0 B  direct      -

    ARMS
    INTERFACE  LINK  ADDRESS       RECEIVED  BYTES  SENT  BYTES  MISSED  FAILED
    eth0       up    192.0.2.1/24         0    0 B     0    0 B       0       0

    TOTALS
    flows   0 active of at most 1,024, 0 opened, 0 ended, 0 evicted
    floods  0 half open of at most 256, 0 packets sent on statelessly
    frames  0 sent on, 0 answered (0 ARP, 0 NDP, 0 ping), 0 not ours, 0 dropped
    errors  0 ICMP errors sent on, 0 of our own, 0 withheld, 0 packets cut, 0 fragments held

    DROPS
    none"
  `);
});

it('tells of an interface that is gone', () => {
  const arms = QUIET_STATUS.arms.map((arm) => ({ ...arm, link: 'gone' as const }));
  expect(renderStatus({ ...QUIET_STATUS, arms }, undefined, PLAIN)).toContain(
    '\n! eth0 is gone: there is no such interface any more.',
  );
});

it('names the gateway of a real, which is what does not answer', () => {
  const [service] = QUIET_STATUS.services;
  const [real] = service!.reals;
  const warningOf = (address: string, gateway: string) => {
    const far = { ...real!, address, gateway, neighbour: 'unreachable', mac: null } as const;
    const services = [{ ...service!, reals: [far] }];
    const text = renderStatus({ ...QUIET_STATUS, services }, undefined, PLAIN);
    return text.slice(text.indexOf('!'), text.indexOf('\n\nSERVICES')).replaceAll('\n  ', ' ');
  };
  expect(warningOf('203.0.113.21', '192.0.2.254')).toBe(
    '! The gateway 192.0.2.254 of real 203.0.113.21:80 of web does not answer ARP on eth0, so what ' +
      'is sent to it is dropped. Is it up, and on this link? Try: arping -I eth0 192.0.2.254',
  );
  expect(warningOf('2001:db8:7::21', '2001:db8::1')).toMatch(/NDP.* Try: ndisc6 2001:db8::1 eth0$/);
});

it('shows a drop reason that it does not know', () => {
  const status = { ...QUIET_STATUS, drops: { 'of-tomorrow': 7 } };
  expect(renderStatus(status, undefined, PLAIN)).toMatch(/^of-tomorrow +7$/m);
});

it('says how many flows there are where it shows none', () => {
  expect(renderStatus(QUIET_STATUS, [], PLAIN)).toMatch(/\n\nFLOWS 0 of 0$/);
});

it('says why a real takes not all that it could, and until when', () => {
  const [service] = QUIET_STATUS.services;
  const [real] = service!.reals;
  const reals = [
    {
      ...real!,
      state: 'drained',
      leftMs: 45_000,
      activeFlows: 2,
      drain: { old: 'reset', timeout: 60_000 },
    },
    { ...real!, state: 'drained', weight: 0, activeFlows: 1 },
    { ...real!, state: 'overloaded', thresholds: { upper: 1000 } },
    { ...real!, state: 'starting', leftMs: 12_000 },
  ] as const;
  const sorry = { ...real!, name: 'sorry', address: '192.0.2.99' };
  const services = [
    { ...service!, reals, sorry, persistence: { timeout: 360_000, prefix: 32, prefix6: 128 } },
  ];
  const text = renderStatus({ ...QUIET_STATUS, services }, undefined, PLAIN);
  expect(text).toContain('maglev, persistence 6 min\n');
  expect(text).toContain('drained: no new flows, 2 flows left, reset in 45 s');
  expect(text).toContain('drained: no new flows, 1 flow left\n');
  expect(text).toContain('overloaded: 1,000 flows at most');
  expect(text).toContain('starting: all of its share in 12 s');
  expect(text).toContain('the sorry server: new flows only while no real takes any');
});

it('names what left the source pool while flows go by it', () => {
  const totals = { ...QUIET_STATUS.totals, retiredFlows: 1234 };
  const status = { ...QUIET_STATUS, totals, retiredSources: ['10.0.0.200', '10.0.0.201'] };
  const line = '\npool    1,234 flows still go by what left the pool: 10.0.0.200, 10.0.0.201';
  expect(renderStatus(status, undefined, PLAIN)).toContain(line);
  expect(renderStatus(QUIET_STATUS, undefined, PLAIN)).not.toContain('left the pool');
});

it('says what the kernel repeats, where it may', () => {
  const totals = { ...QUIET_STATUS.totals, cachedFlows: 1, cachedFrames: 12_345 };
  const line = '\ncache   1 flow repeated by the kernel, 12,345 of the frames sent on\n';
  const status = { ...QUIET_STATUS, totals, datapath: 'tc' } as const;
  expect(renderStatus(status, undefined, PLAIN)).toContain(line);
  expect(renderStatus({ ...status, datapath: 'ring' }, undefined, PLAIN)).not.toContain('cache ');
});

it('says what clients may have, and how many are counted', () => {
  const [service] = QUIET_STATUS.services;
  const limits = { flowsPerClient: 500, newFlowsPerSecond: 50, prefix: 32, prefix6: 64 };
  const totals = { ...QUIET_STATUS.totals, countedClients: 1234, uncountedFlows: 5 };
  const drops = { 'source-limited': 67 };
  const status = { ...QUIET_STATUS, totals, drops, services: [{ ...service!, limits }] };
  const text = renderStatus(status, undefined, PLAIN);
  expect(text).toContain('maglev, 500 flows a client, 50 new ones a second\n');
  expect(text).toContain(
    '\nlimits  1,234 clients counted, 67 new flows refused, 5 let in without room to count them\n',
  );
  expect(renderStatus(QUIET_STATUS, undefined, PLAIN)).not.toContain('limits');
});
