// The filter of the cap datapath, run by libpcap over frames: what the director needs comes in, and
// nothing that would go round in circles.
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readPcap } from '../../lab/pcap/read-pcap.ts';
import { createPcapWriter } from '../../lab/pcap/write-pcap.ts';
import { capFilter } from '../../src/datapath/cap-filter.ts';
import { arpFrame, type IcmpErrorFields, icmpErrorFrame, udpFrame } from '../../src/wire/frame.ts';
import { newDirectory } from '../lab/pcap/captures.ts';

const OWN = '02:00:00:00:00:0d';
const OTHER = '02:00:00:00:00:01';
const VIP = '192.0.2.10';
const REAL = '10.0.0.11';
const directory = newDirectory();
afterAll(() => rmSync(directory, { recursive: true }));

const udp = (source: string, destination: string, sourceMac: string, destinationMac: string) =>
  udpFrame({ source, destination, sourceMac, destinationMac, sourcePort: 1, destinationPort: 2 });
const arp = (sourceMac: string, destinationMac: string) =>
  arpFrame({
    ...{ sourceMac, destinationMac, operation: 1 },
    ...{ senderAddress: '192.0.2.1', targetAddress: VIP },
  });

const error = (fields: Partial<IcmpErrorFields> = {}) =>
  icmpErrorFrame({
    ...{ source: '10.0.0.9', destination: '198.51.100.1', sourceMac: OTHER, destinationMac: OWN },
    ...{ type: 3, code: 4, quote: new Uint8Array(28), ...fields },
  });

/** Whether tcpdump, which runs the same filters, keeps the frame. */
async function passes(filter: string, frame: Uint8Array): Promise<boolean> {
  const [input, output] = [join(directory, 'in.pcap'), join(directory, 'out.pcap')];
  const writer = createPcapWriter(input);
  writer.write({ timestampUs: 1, bytes: frame });
  writer.close();
  execFileSync('tcpdump', ['-r', input, '-w', output, filter], { stdio: 'pipe' });
  return (await readPcap(output)).frames.length === 1;
}

const noTcpdump =
  spawnSync('tcpdump', ['--version']).error === undefined ? '' : 'skipped: no tcpdump';

describe.skipIf(noTcpdump !== '')(`the filter of cap ${noTcpdump}`, () => {
  const filter = capFilter({ vips: [VIP], reals: [REAL], ownMac: OWN });

  test.each([
    ['a request to a VIP', true, udp('198.51.100.1', VIP, OTHER, OWN)],
    ['a reply of a real', true, udp(REAL, '198.51.100.1', OTHER, OWN)],
    ['an ICMP error of a router behind the director', true, error()],
    ['one with options', true, error({ type: 11, ipOptions: new Uint8Array(8) })],
    ['parameter problem', true, error({ type: 12 })],
    ['a later fragment to a VIP', true, error({ destination: VIP, fragmentOffsetBytes: 64 })],
    ['a later fragment of a real', true, error({ source: REAL, fragmentOffsetBytes: 64 })],
    ['a ping through this host', false, error({ type: 8 })],
    ['a later fragment of anybody', false, error({ fragmentOffsetBytes: 64 })],
    ['an ARP request to all', true, arp(OTHER, 'ff:ff:ff:ff:ff:ff')],
    ['an ARP answer to the arm', true, arp(OTHER, OWN)],
    ['what the arm itself sent', false, udp('198.51.100.1', VIP, OWN, OTHER)],
    ['an ARP request of the arm itself', false, arp(OWN, 'ff:ff:ff:ff:ff:ff')],
    [
      'what another director sent to its real',
      false,
      udp('198.51.100.1', VIP, OTHER, '02:00:00:00:00:0e'),
    ],
    ['a frame from a VIP', false, udp(VIP, '198.51.100.1', OTHER, OWN)],
    ['a frame to a real', false, udp('198.51.100.1', REAL, OTHER, OWN)],
    ['other traffic of the host', false, udp('198.51.100.1', '10.0.0.1', OTHER, OWN)],
  ])('%s: %s', async (_name, wanted, frame) => {
    expect(await passes(filter, frame)).toBe(wanted);
  });

  test('without NAT reals takes no ICMP errors but those to a VIP', async () => {
    const dsr = capFilter({ vips: [VIP], reals: [], ownMac: OWN });
    expect(await passes(dsr, error())).toBe(false);
    expect(await passes(dsr, error({ destination: VIP }))).toBe(true);
  });

  test('without any address takes ARP alone', async () => {
    const none = capFilter({ vips: [], reals: [], ownMac: OWN });
    expect(await passes(none, arp(OTHER, OWN))).toBe(true);
    expect(await passes(none, udp('198.51.100.1', VIP, OTHER, OWN))).toBe(false);
  });

  test.each([2000, 5000])('with %i addresses is still one that the kernel takes', async (count) => {
    const vips = Array.from({ length: count }, (_, index) => `10.${index >> 8}.${index & 255}.7`);
    const many = capFilter({ vips, reals: [], ownMac: OWN });
    const program = execFileSync('tcpdump', ['-y', 'EN10MB', '-ddd', many], { stdio: 'pipe' });
    expect(Number(program.toString().split('\n')[0])).toBeLessThanOrEqual(4096);
    expect(await passes(many, udp('198.51.100.1', vips.at(-1)!, OTHER, OWN))).toBe(true);
    expect(await passes(many, udp('198.51.100.1', vips.at(-1)!, OWN, OTHER))).toBe(false);
  });
});
