// Pings to a VIP, which the director answers, and all the frames that are none of its business:
// those it passes, byte for byte as they came.
import { expect } from 'vitest';
import { type IcmpEchoFields, icmpEchoFrame } from '../../lab/frame.ts';
import { naiveSum } from '../wire/naive-checksum.ts';
import { type Check, headerChecksumGood, macs, unchanged } from './checks.ts';
import { droppedFor } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import {
  CLIENT,
  DSR_VIP,
  dsrTcp,
  INSIDE,
  INSIDE_ARM,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
} from './scene.ts';

const DATA = new TextEncoder().encode('are you there?');

const ping = (fields: Partial<IcmpEchoFields> = {}) =>
  icmpEchoFrame({
    ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac },
    ...{ source: CLIENT, destination: DSR_VIP, identifier: 7, sequence: 1, payload: DATA },
    ...fields,
  });

/** The answer is what the director would build itself, whatever the TTL of the question. */
const isReplyOf =
  (vip: string): Check =>
  (_, after) =>
    expect(after).toEqual(
      ping({
        ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac },
        ...{ source: vip, destination: CLIENT, type: 0, timeToLive: 64 },
      }),
    );

const icmpChecksumGood: Check = (_, after) => {
  const l4 = 14 + (after[14]! & 15) * 4;
  expect(naiveSum(after.subarray(l4))).toBe(0xffff);
};

const withByte = (frame: Uint8Array, at: number, value: number) => {
  const copy = frame.slice();
  copy[at] = value;
  return copy;
};

/** A frame with its header checksum made right again after a change. */
function withHeaderByte(frame: Uint8Array, at: number, value: number): Uint8Array {
  const copy = withByte(frame, at, value);
  const view = new DataView(copy.buffer);
  view.setUint16(24, 0);
  view.setUint16(24, 0xffff - naiveSum(copy.subarray(14, 34)));
  return copy;
}

const answered = (name: string, frame: Uint8Array, ...checks: Check[]): PacketCase => ({
  ...{ name, frame, verdict: 'answer 0', moved: { echoAnswers: 1 } },
  checks: [headerChecksumGood, icmpChecksumGood, ...checks],
});

const dropped = (reason: string, name: string, frame: Uint8Array): PacketCase => ({
  ...{ name, frame, verdict: `drop ${reason}`, moved: droppedFor(reason), checks: [unchanged] },
});

const passed = (name: string, frame: Uint8Array, arm = 0): PacketCase => ({
  ...{ name, frame, arm, verdict: 'pass', moved: {}, checks: [unchanged] },
});

const PROTOCOL = 14 + 9;
const TYPE = 34;

testPackets([
  answered('a ping', ping(), isReplyOf(DSR_VIP)),
  answered('a ping to the other VIP', ping({ destination: NAT_VIP }), isReplyOf(NAT_VIP)),
  answered('a ping whose TTL ends here', ping({ timeToLive: 1 }), isReplyOf(DSR_VIP)),
  answered('a ping without data', ping({ payload: new Uint8Array(0) })),
  answered('a ping of odd length', ping({ payload: new Uint8Array(65).fill(0xff) })),
  answered('a ping with IP options', ping({ ipOptions: Uint8Array.of(1, 1, 1, 0) })),
  {
    ...{ name: 'a ping on the other arm', arm: INSIDE, verdict: 'answer 1' },
    frame: ping({ destinationMac: INSIDE_ARM.mac }),
    checks: [macs({ from: INSIDE_ARM.mac, to: ROUTER.mac }), headerChecksumGood, icmpChecksumGood],
    moved: { echoAnswers: 1 },
  },
  dropped('icmp-type', 'a ping answered to a VIP', ping({ type: 0 })),
  dropped('icmp-type', 'source quench', withByte(ping(), TYPE, 4)),
  dropped('icmp-type', 'a redirect', withByte(ping(), TYPE, 5)),
  dropped('ipv4-checksum', 'a ping with a wrong header', withByte(ping(), 24, ping()[24]! ^ 1)),
  passed('a ping to the director itself', ping({ destination: OUTSIDE_ARM.address })),
  passed('a ping to anyone else', ping({ destination: '203.0.113.5' })),
  passed('SCTP to anyone else', withHeaderByte(ping({ destination: CLIENT }), PROTOCOL, 132)),
  passed('a frame for another station', dsrTcp({ destinationMac: '02:00:00:00:ee:ee' })),
  passed('one that differs in the last byte', dsrTcp({ destinationMac: '02:00:00:00:0a:ff' })),
  passed('a broadcast frame', dsrTcp({ destinationMac: 'ff:ff:ff:ff:ff:ff' })),
  passed('a frame for the other arm', natTcp(), INSIDE),
  passed('a VLAN tag', withByte(withByte(dsrTcp(), 12, 0x81), 13, 0x00)),
  passed('IPv6', withByte(withByte(dsrTcp(), 12, 0x86), 13, 0xdd)),
  passed('another EtherType', withByte(withByte(dsrTcp(), 12, 0x88), 13, 0xcc)),
  passed('an IEEE 802.3 length field', withByte(withByte(dsrTcp(), 12, 0), 13, 46)),
  passed('TCP to the director itself', dsrTcp({ destination: OUTSIDE_ARM.address })),
  passed('TCP to anyone else', dsrTcp({ destination: '203.0.113.5' })),
  passed(
    'a fragment of a host that is no real',
    replyTcp(ROUTER, { dontFragment: false, fragmentOffsetBytes: 1480 }),
    INSIDE,
  ),
  passed(
    'a fragment of a NAT real to the director itself',
    replyTcp(NAT_REALS[0]!, {
      ...{ destination: INSIDE_ARM.address, dontFragment: false, fragmentOffsetBytes: 1480 },
    }),
    INSIDE,
  ),
  passed(
    'a ping of a NAT real in pieces',
    ping({
      ...{ source: NAT_REALS[0]!.address, destination: CLIENT, destinationMac: INSIDE_ARM.mac },
      ...{ dontFragment: false, moreFragments: true, payload: new Uint8Array(16) },
    }),
    INSIDE,
  ),
]);
