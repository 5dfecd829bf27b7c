// The same frames through furiwake's NAT and through the kernel's own, nft DNAT: what arrives at
// the real must be the same, byte for byte, but for MAC addresses.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { startDirectorWith } from '../../lab/hosts/director.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { NAT } from '../../lab/topologies/nat.ts';
import { addressOf, directorOf, hostNamed } from '../../lab/topologies/topology.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'scapy']);
const REAL = addressOf(hostNamed(NAT, 'r1'));
const REAL_PORT = 8080;

/** Packets as scapy writes them; each has a source port of its own, put in for PORT. */
const PACKETS = [
  'IP(dst=VIP)/TCP(sport=PORT, dport=80, flags="S", options=[("MSS", 1460), ("SAckOK", b""), ' +
    '("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)])',
  'IP(dst=VIP, tos=0xb8, flags="DF", id=1234, ttl=33)/TCP(sport=PORT, dport=80, flags="PA")/b"odd"',
  'IP(dst=VIP, id=0xffff)/TCP(sport=PORT, dport=80, flags="PA", seq=5, ack=9)/b"even"',
  'IP(dst=VIP, ttl=2)/TCP(sport=PORT, dport=80, flags="UPA", urgptr=3)/bytes(1400)',
  'IP(dst=VIP)/TCP(sport=PORT, dport=80, flags="A", options=[("NOP", None)] * 40)',
  'IP(dst=VIP, tos=3)/TCP(sport=PORT, dport=80, flags="A", reserved=1, window=0)',
  'IP(dst=VIP)/UDP(sport=PORT, dport=80)/b"odd"',
  'IP(dst=VIP, flags="DF", ttl=255)/UDP(sport=PORT, dport=80)',
  'IP(dst=VIP)/UDP(sport=PORT, dport=80, chksum=0)/b"without a sum"',
  'IP(dst=VIP, tos=0x2e)/UDP(sport=PORT, dport=80)/bytes(range(256))',
  'IP(dst=VIP)/UDP(sport=PORT, dport=80)/(b"\\xff" * 1472)',
] as const;

/** Nobody chooses by connection tracking: any packet may be the first. */
const config = (socket: string): string => {
  const service = {
    ...{ vip: NAT.vip, port: 80, protocol: ['tcp', 'udp'], method: 'nat' },
    reals: [{ address: REAL, port: REAL_PORT }],
  };
  return stringify({ interfaces: ['eth0', 'eth1'], socket, services: { any: service } });
};

const DNAT = `table ip same {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${NAT.vip} tcp dport 80 dnat to ${REAL}:${REAL_PORT}
    ip daddr ${NAT.vip} udp dport 80 dnat to ${REAL}:${REAL_PORT}
  }
}
`;

/** The real keeps silent, so that no answer changes what is known of a connection. */
const SILENCE = `table ip silence {
  chain input {
    type filter hook input priority 0
    ip daddr ${REAL} meta l4proto { tcp, udp } drop
  }
}
`;

describe.skipIf(reason !== undefined)(`beside nft DNAT${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await buildTopology(NAT);
    await lab.exec('r1', ['nft', '-f', '-'], { input: SILENCE });
  });
  afterAll(() => lab?.close());

  /** Sends all packets and gives what arrives at the real, without Ethernet headers, as hex. */
  async function through(name: string): Promise<string[]> {
    const file = `${lab.directory}/${name}.pcap`;
    const filter = `dst host ${REAL} and (tcp or udp)`;
    const argv = ['tcpdump', '-U', '-n', '-i', 'eth0', '-w', file, '-Z', 'root', filter];
    const capture = lab.spawn('r1', { name: `tcpdump-${name}`, argv });
    await expect.poll(() => readFileSync(capture.logFile, 'utf8')).toContain('listening on');
    const { mac } = directorOf(NAT).arms[0]!;
    const lines = PACKETS.map((packet, index) => packet.replace('PORT', String(30_000 + index)));
    const script = [
      'from scapy.all import *',
      `conf.verb = 0; conf.iface = "eth0"; VIP = "${NAT.vip}"; E = Ether(dst="${mac}")`,
      ...lines.map((packet) => `sendp(E/${packet})`),
    ];
    await lab.exec('client', ['/usr/bin/python3', '-c', script.join('\n')]);
    const packets = () => packetsIn(readFileSync(file));
    await expect.poll(() => packets().length, { timeout: 5000 }).toBe(PACKETS.length);
    await capture.stop();
    return packets();
  }

  it('every byte of every packet is the same at the real', async () => {
    const director = await startDirectorWith(lab, NAT, config);
    const ours = await through('furiwake');
    await director.stop();
    await lab.ip('director', [`address add ${NAT.vip}/32 dev eth0`]);
    await lab.exec('director', ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);
    await lab.exec('director', ['nft', '-f', '-'], { input: DNAT });
    const kernels = await through('nft');
    expect(ours).toEqual(kernels);
    expect(new Set(ours).size).toBe(PACKETS.length);
  });
});

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;

/** IP packets of a capture of this machine's byte order, in their order, without padding. */
function packetsIn(file: Buffer): string[] {
  const packets: string[] = [];
  for (let at = FILE_HEADER; at + RECORD_HEADER <= file.length; ) {
    const bytes = file.readUInt32LE(at + 8);
    const start = at + RECORD_HEADER + ETHERNET_HEADER;
    at += RECORD_HEADER + bytes;
    if (at > file.length) break;
    packets.push(file.subarray(start, start + file.readUInt16BE(start + 2)).toString('hex'));
  }
  return packets;
}
