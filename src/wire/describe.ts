// A frame as one line of text, much as `tcpdump -e -n` prints it: for people who read logs, failed
// tests and the lab's report. Takes any bytes at all; what cannot be read is named by the reason
// that the director would drop it for.
import { formatIpv4, formatMac } from './address.ts';
import * as arp from './arp.ts';
import { DROP_REASONS } from './drop-reason.ts';
import * as ethernet from './ethernet.ts';
import * as icmp from './icmp.ts';
import * as ipv4 from './ipv4.ts';
import * as tcp from './tcp.ts';
import * as udp from './udp.ts';

const L3 = ethernet.HEADER_BYTES;

const FLAG_LETTERS = [
  [tcp.SYN, 'S'],
  [tcp.FIN, 'F'],
  [tcp.RST, 'R'],
  [tcp.PSH, 'P'],
  [tcp.URG, 'U'],
  [tcp.ACK, '.'],
] as const;

/**
 * Describes an Ethernet frame in one line, such as
 * `02:...:01 > 02:...:02 IPv4 192.0.2.1.4000 > 192.0.2.9.80: TCP [S] seq 1 win 64240 length 0`.
 */
export function describe(bytes: Uint8Array): string {
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length;
  const reason = ethernet.check(frame, 0, end);
  if (reason !== 0) return bad(reason, end);
  const from = formatMac(ethernet.sourceHigh(frame, 0), ethernet.sourceLow(frame, 0));
  const to = formatMac(ethernet.destinationHigh(frame, 0), ethernet.destinationLow(frame, 0));
  return `${from} > ${to} ${describePayload(frame, end)}`;
}

function bad(reason: number, bytes: number): string {
  return `${DROP_REASONS[reason]?.[0]} (${bytes} bytes)`;
}

function describePayload(frame: DataView, end: number): string {
  const type = ethernet.type(frame, 0);
  if (type === ethernet.TYPE_ARP) return describeArp(frame, end);
  if (type === ethernet.TYPE_IPV4) return describeIpv4(frame, end);
  return `EtherType 0x${type.toString(16).padStart(4, '0')} length ${end - L3}`;
}

function describeArp(frame: DataView, end: number): string {
  const reason = arp.check(frame, L3, end);
  if (reason !== 0) return `ARP ${bad(reason, end - L3)}`;
  const packet = arp.parse(frame, L3);
  const sender = formatIpv4(packet.senderAddress);
  const target = formatIpv4(packet.targetAddress);
  if (packet.operation === arp.REQUEST) return `ARP who-has ${target} tell ${sender}`;
  if (packet.operation !== arp.REPLY) return `ARP operation ${packet.operation}`;
  return `ARP ${sender} is-at ${formatMac(packet.senderMacHigh, packet.senderMacLow)}`;
}

function describeIpv4(frame: DataView, frameEnd: number): string {
  const reason = ipv4.check(frame, L3, frameEnd);
  if (reason !== 0) return `IPv4 ${bad(reason, frameEnd - L3)}`;
  const header = ipv4.parse(frame, L3);
  const from = formatIpv4(header.source);
  const to = formatIpv4(header.destination);
  const l4 = L3 + ipv4.headerBytes(frame, L3);
  const end = L3 + ipv4.totalBytes(frame, L3);
  if (header.fragmentOffsetBytes > 0) {
    const { protocol, fragmentOffsetBytes, payloadBytes } = header;
    return `IPv4 ${from} > ${to}: protocol ${protocol} fragment ${fragmentOffsetBytes} length ${payloadBytes}`;
  }
  if (header.protocol === ipv4.PROTOCOL_TCP) return `IPv4 ${describeTcp(frame, l4, end, from, to)}`;
  if (header.protocol === ipv4.PROTOCOL_UDP) return `IPv4 ${describeUdp(frame, l4, end, from, to)}`;
  if (header.protocol === ipv4.PROTOCOL_ICMP) {
    return `IPv4 ${from} > ${to}: ${describeIcmp(frame, l4, end)}`;
  }
  return `IPv4 ${from} > ${to}: protocol ${header.protocol} length ${header.payloadBytes}`;
}

function describeTcp(frame: DataView, at: number, end: number, from: string, to: string): string {
  const reason = tcp.check(frame, at, end);
  if (reason !== 0) return `${from} > ${to}: TCP ${bad(reason, end - at)}`;
  const flags = tcp.flags(frame, at);
  const letters = FLAG_LETTERS.filter(([bit]) => flags & bit).map(([, letter]) => letter);
  const acknowledgment = flags & tcp.ACK ? ` ack ${tcp.acknowledgment(frame, at)}` : '';
  const length = end - at - tcp.dataOffsetBytes(frame, at);
  return (
    `${from}.${tcp.sourcePort(frame, at)} > ${to}.${tcp.destinationPort(frame, at)}: ` +
    `TCP [${letters.join('') || 'none'}] seq ${tcp.sequence(frame, at)}${acknowledgment} ` +
    `win ${tcp.window(frame, at)} length ${length}`
  );
}

function describeUdp(frame: DataView, at: number, end: number, from: string, to: string): string {
  const reason = udp.check(frame, at, end);
  if (reason !== 0) return `${from} > ${to}: UDP ${bad(reason, end - at)}`;
  const length = udp.lengthBytes(frame, at) - udp.HEADER_BYTES;
  const ports = [udp.sourcePort(frame, at), udp.destinationPort(frame, at)];
  return `${from}.${ports[0]} > ${to}.${ports[1]}: UDP length ${length}`;
}

function describeIcmp(frame: DataView, at: number, end: number): string {
  const reason = icmp.check(frame, at, end);
  if (reason !== 0) return `ICMP ${bad(reason, end - at)}`;
  const type = icmp.type(frame, at);
  const length = end - at - icmp.HEADER_BYTES;
  if (type !== icmp.ECHO_REQUEST && type !== icmp.ECHO_REPLY) {
    return `ICMP type ${type} code ${icmp.code(frame, at)} length ${length}`;
  }
  const name = type === icmp.ECHO_REQUEST ? 'echo request' : 'echo reply';
  const id = icmp.identifier(frame, at);
  return `ICMP ${name} id ${id} seq ${icmp.sequence(frame, at)} length ${length}`;
}
