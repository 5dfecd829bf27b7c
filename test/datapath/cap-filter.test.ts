// The filter of the cap datapath, run by libpcap over frames: what the director needs comes in, and
// nothing that would go round in circles.
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { arpFrame, type IcmpErrorFields, icmpErrorFrame, udpFrame } from '../../lab/frame.ts';
import { readPcap } from '../../lab/pcap/read-pcap.ts';
import { createPcapWriter } from '../../lab/pcap/write-pcap.ts';
import { capFilter } from '../../src/datapath/cap-filter.ts';
import { parseIpv6 } from '../../src/wire/address.ts';
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

  describe('of IPv6', () => {
    const VIP6 = '2001:db8::10';
    const filter6 = capFilter({ vips: [VIP6], reals: ['2001:db8:1::11'], ownMac: OWN });
    const ipv6 = (source: string, destination: string, [nextHeader, type]: [number, number]) => {
      const frame = udp('198.51.100.1', VIP, OTHER, OWN).slice(0, 14);
      const words = [source, destination].flatMap((text) => [...parseIpv6(text)!]);
      const bytes = new Uint8Array(62);
      bytes.set(frame);
      const view = new DataView(bytes.buffer);
      view.setUint16(12, 0x86dd);
      view.setUint8(14, 0x60);
      view.setUint8(20, nextHeader);
      for (const [index, word] of words.entries()) view.setInt32(22 + index * 4, word);
      view.setUint8(54, type);
      return bytes;
    };
    const ANYBODY = '2001:db8:9::1';

    test.each([
      ['a request to a VIP', true, ipv6(ANYBODY, VIP6, [6, 0])],
      ['a reply of a real', true, ipv6('2001:db8:1::11', ANYBODY, [6, 0])],
      ['a question of NDP', true, ipv6(ANYBODY, 'ff02::1:ff00:10', [58, 135])],
      ['an answer of NDP', true, ipv6(ANYBODY, '2001:db8::1', [58, 136])],
      ['packet too big of a router', true, ipv6(ANYBODY, '2001:db8::9', [58, 2])],
      ['a ping through this host', false, ipv6(ANYBODY, '2001:db8::9', [58, 128])],
      ['other traffic of the host', false, ipv6(ANYBODY, '2001:db8::9', [6, 135])],
    ])('%s: %s', async (_name, wanted, frame) => {
      expect(await passes(filter6, frame)).toBe(wanted);
    });

    test('takes no ICMPv6 errors without reals, and no NDP without IPv6', async () => {
      const tooBig = ipv6(ANYBODY, '2001:db8::9', [58, 2]);
      const dsr = capFilter({ vips: [VIP6], reals: [], ownMac: OWN });
      expect(await passes(dsr, tooBig)).toBe(false);
      expect(await passes(filter, ipv6(ANYBODY, 'ff02::1:ff00:10', [58, 135]))).toBe(false);
    });

    test.each([300, 500, 600])(
      'with %i addresses is still one that the kernel takes',
      async (count) => {
        const vips = Array.from({ length: count }, (_, index) => `2001:db8::${index.toString(16)}`);
        const many = capFilter({ vips, reals: [], ownMac: OWN });
        const program = execFileSync('tcpdump', ['-y', 'EN10MB', '-ddd', many], { stdio: 'pipe' });
        expect(Number(program.toString().split('\n')[0])).toBeLessThanOrEqual(4096);
        expect(await passes(many, ipv6(ANYBODY, vips.at(-1)!, [6, 0]))).toBe(true);
      },
    );
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
