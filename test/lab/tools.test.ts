// The programs that people point at a balancer, pointed at this one: dig, nmap, hping3, scapy and
// ping, by DSR and by NAT. What they report must be what they would report of the real itself, and
// what must not pass is counted under its name.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startDnsmasq } from '../../lab/hosts/dnsmasq.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR_VIP, NAT_VIP, THREE_WAYS } from '../../lab/topologies/three-ways.ts';
import { addressOf, directorOf, hostNamed, realsOf } from '../../lab/topologies/topology.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'dig', 'dnsmasq', 'nmap', 'hping3', 'scapy']);
const REALS = realsOf(THREE_WAYS).map(addressOf);
const NAME = 'who.example';

function config(socket: string): string {
  const reals = REALS.map((address) => ({ address }));
  const service = (vip: string, method: string, port: number, protocol: string) => {
    return { ...{ vip, method, port, protocol }, scheduler: 'rr', reals };
  };
  return stringify(
    {
      ...{ interfaces: ['eth0', 'eth1'], socket },
      services: {
        'dsr-web': service(DSR_VIP, 'dsr', 80, 'tcp'),
        'dsr-dns': service(DSR_VIP, 'dsr', 53, 'udp'),
        'nat-web': service(NAT_VIP, 'nat', 80, 'tcp'),
        'nat-dns': service(NAT_VIP, 'nat', 53, 'udp'),
      },
    },
    { aliasDuplicateObjects: false },
  );
}

/** A frame that scapy makes and the reason for which it is dropped. */
const BAD_FRAMES: readonly (readonly [drop: string, packet: string])[] = [
  ['ipv4-version', 'IP(dst=VIP, version=6)/TCP(dport=80, flags="S")'],
  ['ipv4-header-length', 'IP(dst=VIP, ihl=4)/TCP(dport=80, flags="S")'],
  ['ipv4-total-length', 'IP(dst=VIP, len=1400)/TCP(dport=80, flags="S")'],
  ['ipv4-checksum', 'IP(dst=VIP, chksum=1)/TCP(sport=9, dport=80, flags="S")'],
  ['tcp-data-offset', 'IP(dst=VIP)/TCP(dport=80, flags="S", dataofs=4)'],
  ['tcp-truncated', 'IP(dst=VIP, proto=6)/Raw(b"12345678")'],
  ['udp-truncated', 'IP(dst=VIP, proto=17)/Raw(b"1234")'],
  ['udp-length', 'IP(dst=VIP)/UDP(dport=53, len=7)/Raw(b"1234")'],
  ['icmp-type', 'IP(dst=VIP)/ICMP(type=13)'],
  ['icmp-quote', 'IP(dst=VIP)/ICMP(type=3, code=4)/IP(src="192.0.2.1", dst="192.0.2.2")/TCP()'],
  ['fragment-malformed', 'IP(dst=VIP, flags="MF", proto=6)/Raw(b"12345678")'],
  ['no-flow', 'IP(dst=VIP)/TCP(sport=9, dport=80, flags="A")'],
  ['no-flow', 'IP(dst=VIP)/TCP(sport=9, dport=80, flags="FPU")'],
  ['no-service', 'IP(dst=VIP)/TCP(dport=81, flags="S")'],
];

/** Any options and oddities that are no reason to drop anything: each must reach a real. */
const GOOD_FRAMES = [
  'IP(dst=VIP, options=IPOption_RR())/TCP(sport=20001, dport=80, flags="S")',
  'IP(dst=VIP, tos=184, id=7)/TCP(sport=20002, dport=80, flags="SEC", options=[("MSS", 900)])',
  'IP(dst=VIP)/TCP(sport=20003, dport=80, flags="S")/Raw(b"fast open")',
  'IP(dst=VIP)/TCP(sport=20004, dport=80, flags="SU", urgptr=5)',
] as const;

describe.skipIf(reason !== undefined)(`outside tools${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  beforeAll(async () => {
    lab = await buildTopology(THREE_WAYS);
    for (const { name } of realsOf(THREE_WAYS)) {
      await startNginx(lab, name);
      await startDnsmasq(lab, name, { [NAME]: addressOf(hostNamed(THREE_WAYS, name)) });
    }
    director = await startDirectorWith(lab, THREE_WAYS, config);
  });
  afterAll(() => lab?.close());

  const run = async (...argv: string[]) => {
    const output = await lab.exec('client', argv, { onFailure: 'return', timeoutMs: 60_000 });
    return output.stdout + output.stderr;
  };

  /** Runs a script of Debian's scapy at the client; `E` is a frame to the director. */
  async function scapy(vip: string, lines: readonly string[]): Promise<string> {
    const [arm, number] = vip === DSR_VIP ? ['eth1', 1] : ['eth0', 0];
    const mac = directorOf(THREE_WAYS).arms[number as 0 | 1]!.mac;
    const script = [
      'from scapy.all import *',
      `conf.verb = 0; conf.iface = "${arm}"; VIP = "${vip}"; E = Ether(dst="${mac}")`,
      ...lines,
    ];
    return run('/usr/bin/python3', '-c', script.join('\n'));
  }

  const drops = async () => (await director.status()).drops as Record<string, number>;

  describe.each([
    ['dsr', DSR_VIP],
    ['nat', NAT_VIP],
  ])('by %s', (_, vip) => {
    it('dig is answered by each real in its turn', async () => {
      const answers: string[] = [];
      for (let ask = 0; ask < REALS.length; ask++) {
        answers.push((await run('dig', `@${vip}`, NAME, '+short', '+notcp', '+tries=1')).trim());
      }
      expect(answers.sort()).toEqual([...REALS]);
    });

    it('nmap finds the port of the service open, and no other', async () => {
      const tcp = await run(
        'nmap',
        '-n',
        '-Pn',
        '-sS',
        '-p78-82',
        '--max-retries=1',
        '-oG',
        '-',
        vip,
      );
      expect(tcp).toContain('80/open/tcp');
      expect(tcp.match(/\d+\/open/g)).toEqual(['80/open']);
      const udp = await run('nmap', '-n', '-Pn', '-sU', '-p53', '-oG', '-', vip);
      expect(udp).toContain('53/open/udp');
    });

    it('nmap gets no answer to what opens no connection, nor to torn headers', async () => {
      const before = await drops();
      for (const scan of ['-sF', '-sX', '-sN', '-sA']) {
        const found = await run(
          'nmap',
          '-n',
          '-Pn',
          scan,
          '-p80',
          '--max-retries=0',
          '-oG',
          '-',
          vip,
        );
        expect([scan, found]).toEqual([scan, expect.stringMatching(/80\/(open\|)?filtered/)]);
      }
      const torn = await run('nmap', '-n', '-Pn', '-sS', '-f', '-p80', '-oG', '-', vip);
      expect(torn).toContain('80/filtered');
      const after = await drops();
      expect(after['no-flow']! - (before['no-flow'] ?? 0)).toBe(4);
      expect(after['fragment-malformed']!).toBeGreaterThan(before['fragment-malformed'] ?? 0);
    });

    it('hping3 sees each of its connections accepted, as from the VIP', async () => {
      const accepted = await run('hping3', '-S', '-p', '80', '-c', '3', '-i', 'u20000', vip);
      expect(accepted.match(/flags=SA/g)).toHaveLength(3);
      expect(accepted).toContain(`ip=${vip}`);
    });

    it('ping is answered up to the longest packet, and must not be cut where it asks', async () => {
      expect(await run('ping', '-c1', '-Mdo', '-s1472', vip)).toContain('1 received');
      expect(await run('ping', '-c1', '-Mdo', '-s1473', vip)).toMatch(/message too long/i);
      expect(await run('ping', '-c1', '-s65507', vip)).toContain('1 received');
    });

    it('each bad frame of scapy is dropped under its own name', async () => {
      const before = await drops();
      const lines = BAD_FRAMES.map(([, packet]) => `sendp(E/${packet})`);
      expect(await scapy(vip, lines)).toBe('');
      const after = await drops();
      const reasons = new Set(BAD_FRAMES.map(([drop]) => drop));
      const expected = [...reasons].map((drop) => {
        const times = BAD_FRAMES.filter(([each]) => each === drop).length;
        return [drop, (before[drop] ?? 0) + times];
      });
      expect(after).toEqual({ ...before, ...Object.fromEntries(expected) });
    });

    it('odd but good packets of scapy are answered by a real', async () => {
      const answers = await scapy(vip, [
        'def ask(packet):',
        '  answer = srp1(packet, timeout=3)',
        '  print(answer.sprintf("%IP.src% %TCP.flags%") if answer else "nothing")',
        ...GOOD_FRAMES.map((packet) => `ask(E/${packet})`),
      ]);
      const expected = GOOD_FRAMES.map((packet) => `${vip} ${answerTo(packet)}`);
      expect(answers.trim().split('\n')).toEqual(expected);
    });
  });
});

/** A client that offers ECN gets it, if the real's kernel does as Linux does by default. */
const answerTo = (packet: string): string => (packet.includes('"SEC"') ? 'SAE' : 'SA');
