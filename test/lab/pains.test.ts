// The field's most repeated pains that lie in forwarding, each with the tests that show it solved.
// The numbers are those of the survey that the project began with. This test sees to it that what
// is pointed at exists.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Pain {
  readonly number: number;
  readonly pain: string;
  /** File below test/ and a part of a test's name, or of a row of its table. */
  readonly shownBy: readonly (readonly [file: string, text: string])[];
}

const PAINS: readonly Pain[] = [
  {
    number: 1,
    pain: 'a DSR real without the VIP on lo: requests arrive, no reply does',
    shownBy: [
      ['lab/verify-breaks.test.ts', "'no-vip-on-lo', 'vip-missing'"],
      ['lab/verify-dsr.test.ts', 'a real without the VIP on lo is silent'],
    ],
  },
  {
    number: 2,
    pain: 'a DSR real that answers ARP for the VIP',
    shownBy: [
      ['lab/verify-breaks.test.ts', "'arp-real', 'real-answers-arp'"],
      ['packets/arp.test.ts', 'are told with the host that makes them'],
    ],
  },
  {
    number: 4,
    pain: 'rp_filter eats what came by another way or out of a tunnel',
    shownBy: [['lab/tunnel.test.ts', 'answers curl from both, past the director']],
  },
  {
    number: 5,
    pain: 'a tunnel makes packets longer than the MTU',
    shownBy: [['lab/tunnel.test.ts', 'tells the client how long its packets may be']],
  },
  {
    number: 6,
    pain: 'fragmentation needed goes to the wrong real',
    shownBy: [
      ['lab/far-client.test.ts', 'brought each error to the one that it speaks of'],
      ['packets/icmp-errors.test.ts', 'both sides hear of the packets that they sent'],
      ['datapath/fanout-program.test.ts', 'is that of its client, for every kind of packet'],
    ],
  },
  {
    number: 7,
    pain: 'fragments are dropped',
    shownBy: [
      ['lab/far-client.test.ts', 'brings datagrams of 4,000 bytes whole'],
      ['lab/workers.test.ts', 'brings the fragments of a datagram to the worker of its flow'],
    ],
  },
  {
    number: 8,
    pain: 'super-frames are longer than the MTU, and lost',
    shownBy: [
      ['datapath/ring.test.ts', 'an arm that cannot segment gets super-frames in pieces'],
      ['datapath/ring-tags.test.ts', 'a super-frame too'],
    ],
  },
  {
    number: 9,
    pain: 'partial checksums of virtual links: pings work, TCP does not',
    shownBy: [
      ['datapath/ring.test.ts', 'knows partial checksums'],
      ['packets/nat.test.ts', 'a super-frame with a partial checksum'],
    ],
  },
  {
    number: 10,
    pain: 'XDP on veth loses frames: there is none here, the ring takes and sends by sockets',
    shownBy: [['datapath/conformance.ts', 'frames cross from arm to arm both ways at once']],
  },
  {
    number: 11,
    pain: 'UDP flows stay with a real that is gone, for ever',
    shownBy: [
      ['packets/flows.test.ts', 'without a real sends its UDP on to another'],
      ['packets/life.test.ts', 'of UDP goes to another real at once'],
    ],
  },
  {
    number: 12,
    pain: 'a removed real is a black hole; a port that is used again goes to the old real',
    shownBy: [
      ['packets/flows.test.ts', 'that has ended opens a new one'],
      ['packets/flows.test.ts', 'without a real ends the flows of that real alone'],
      ['packets/life.test.ts', 'of TCP waits for its real, unless its client begins anew'],
    ],
  },
  {
    number: 13,
    pain: 'NAT without the way back through the director',
    shownBy: [
      ['lab/verify-nat.test.ts', 'a real without a return route is silent'],
      ['packets/fullnat.test.ts', 'a reply'],
    ],
  },
  {
    number: 14,
    pain: 'hairpin, and traffic from one VIP to another',
    shownBy: [
      ['packets/hairpin.test.ts', 'a NAT real that asks the VIP of its own service'],
      ['packets/hairpin.test.ts', 'traffic between two VIPs of one director'],
    ],
  },
  {
    number: 17,
    pain: 'a hash of the client alone: all flows of one client at one real',
    shownBy: [
      ['schedule/sh.test.ts', 'a client stays with its real whatever its port'],
      ['schedule/maglev.test.ts', 'the port counts: flows of one client spread over the reals'],
    ],
  },
  {
    number: 18,
    pain: 'packets are lost, and nobody says why',
    shownBy: [['lab/tools.test.ts', 'each bad frame of scapy is dropped under its own name']],
  },
  {
    number: 20,
    pain: 'a flood fills the table: new clients are refused, old connections cut',
    shownBy: [
      ['lab/floods.test.ts', 'has room for new clients while SYNs flood in'],
      ['lab/floods.test.ts', 'new clients when all places are kept'],
      ['lab/floods.test.ts', 'let the old connection live, at its real'],
    ],
  },
];

describe('each pain of forwarding is shown solved', () => {
  it.each(PAINS)('$number: $pain', ({ shownBy }) => {
    expect(shownBy.length).toBeGreaterThan(0);
    for (const [file, text] of shownBy) {
      const source = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
      expect(source, `${file} has no ${text}`).toContain(text);
    }
  });
});
