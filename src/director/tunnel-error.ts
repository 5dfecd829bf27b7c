// ICMP errors about packets of a tunnel: routers between the director and a real send them to the
// outer source address. Where they quote enough of the inner packet to know its flow, a path that
// is too narrow is told to the client, whose packets are to become shorter (RFC 2003, 4 and 5.1);
// all else is the operator's affair, and counted.
import {
  findFlow,
  HOP_HIGH,
  HOP_LOW,
  IDS,
  isOver,
  META,
  RECORD_WORDS,
  TUNNEL_BIT,
} from '../flow/flow-table.ts';
import { copyOut } from '../wire/bytes.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tunnel from '../wire/tunnel.ts';
import * as udp from '../wire/udp.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { DESTINATION, isTunnelSource, TUNNEL_WORDS } from './encapsulate.ts';
import { quotedHeader } from './quote.ts';
import { dropped, isOwnAddress } from './refuse.ts';
import { tellClient } from './tell-sender.ts';
import { TAKEN, type Verdict } from './verdict.ts';

const TUNNEL_ERROR = DROP['tunnel-error'];
const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const ICMP_CHECKSUM = DROP['icmp-checksum'];
/** Every network takes packets of so many bytes (RFC 791, 3.2). */
const SMALLEST_MTU = 68;

/** Whether an ICMP error, from `l3` on, speaks of a packet that the director put into a tunnel. */
export function isTunnelError(director: Director, frame: DataView, l3: number, l4: number) {
  const receiver = ipv4.destination(frame, l3);
  if (!isTunnelSource(director, receiver) && !isOwnAddress(director, receiver)) return false;
  const outer = l4 + icmp.HEADER_BYTES;
  const end = l3 + ipv4.totalBytes(frame, l3);
  if (end - outer < ipv4.HEADER_BYTES || frame.getUint8(outer) !== 0x45) return false;
  if (ipv4.source(frame, outer) !== receiver) return false;
  const { table } = director;
  if (!table.tunnelAddresses.includes(ipv4.destination(frame, outer))) return false;
  if (ipv4.protocol(frame, outer) === tunnel.PROTOCOL_IPIP) return true;
  if (ipv4.protocol(frame, outer) !== ipv4.PROTOCOL_UDP) return false;
  const ports = outer + ipv4.HEADER_BYTES;
  return ports + udp.HEADER_BYTES <= end && frame.getUint16(ports + 2) === table.tunnel.port;
}

/** An error that `isTunnelError` is true of. */
export function relayTunnelError(
  director: Director,
  frame: DataView,
  l3: number,
  l4: number,
): Verdict {
  const end = l3 + ipv4.totalBytes(frame, l3);
  if (!ipv4.hasGoodChecksum(frame, l3)) return dropped(director, IPV4_CHECKSUM);
  if (!icmp.hasGoodChecksum(frame, l4, end)) return dropped(director, ICMP_CHECKSUM);
  const inner = innerOf(frame, l4 + icmp.HEADER_BYTES, end);
  const isNarrow =
    icmp.type(frame, l4) === icmp.DESTINATION_UNREACHABLE &&
    icmp.code(frame, l4) === icmp.FRAGMENTATION_NEEDED;
  if (inner === 0 || !isNarrow) return dropped(director, TUNNEL_ERROR);
  const ahead = inner - l4 - icmp.HEADER_BYTES;
  const mtu = icmp.nextHopMtu(frame, l4) - ahead;
  const record = flowOf(director, frame, inner, end, ipv4.destination(frame, inner - ahead));
  if (record < 0 || mtu < SMALLEST_MTU || mtu >= ipv4.totalBytes(frame, inner)) {
    return dropped(director, TUNNEL_ERROR);
  }
  const { records } = director.flows;
  const hop = records[record + HOP_LOW] as number;
  const to = { high: records[record + HOP_HIGH] as number, low: hop & 0xffff, arm: hop >>> 16 };
  tellClient(director, copyOut(frame, inner, end), to, mtu);
  const { values } = director;
  values[GLOBAL.relayedErrors] = (values[GLOBAL.relayedErrors] as number) + 1;
  // The frame that came in counts as sent: another one stands for it.
  values[GLOBAL.sentFrames] = (values[GLOBAL.sentFrames] as number) + 1;
  return TAKEN;
}

/** The offset of the inner packet in a quote that begins with an outer header; 0 if it has none. */
function innerOf(frame: DataView, outer: number, end: number): number {
  const behind = outer + ipv4.HEADER_BYTES;
  if (ipv4.protocol(frame, outer) === tunnel.PROTOCOL_IPIP) return behind;
  return tunnel.innerOfGue(frame, behind + udp.HEADER_BYTES, end);
}

/** The record of the flow that an inner packet belongs to, if it went to this real; else -1. */
function flowOf(
  { flows, nowMs, tunnels }: Director,
  frame: DataView,
  inner: number,
  end: number,
  real: number,
): number {
  const l4 = quotedHeader(frame, inner, end);
  if (l4 === 0) return -1;
  const source = ipv4.source(frame, inner);
  const destination = ipv4.destination(frame, inner);
  const protocol = ipv4.protocol(frame, inner);
  const found = findFlow(flows, source, destination, frame.getInt32(l4), protocol);
  if (found < 0 || (found & 1) !== 0 || isOver(flows, found >>> 1, nowMs)) return -1;
  const record = (found >>> 1) * RECORD_WORDS;
  if (((flows.records[record + META] as number) & TUNNEL_BIT) === 0) return -1;
  const id = (flows.records[record + IDS] as number) & 0xffff;
  return tunnels[id * TUNNEL_WORDS + DESTINATION] === real ? record : -1;
}
