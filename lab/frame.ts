// Whole frames from plain objects: for tests and the lab, never for the hot path. Addresses
// are text here, as people write them. What is built is always right, checksums included; a test
// that wants a wrong frame breaks a right one.
import { type Mac, parseIpv4, parseMac } from '../src/wire/address.ts';
import * as arp from '../src/wire/arp.ts';
import * as checksum from '../src/wire/checksum.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import * as icmp from '../src/wire/icmp.ts';
import * as ipv4 from '../src/wire/ipv4.ts';
import * as tcp from '../src/wire/tcp.ts';
import * as udp from '../src/wire/udp.ts';

const NO_BYTES = new Uint8Array(0);
const L3 = ethernet.HEADER_BYTES;

/** The two Ethernet addresses, such as `02:00:00:00:00:01`. */
export interface EthernetFields {
  readonly sourceMac: string;
  readonly destinationMac: string;
}

/** Addresses are dotted quads; what may be left out says its default. */
export interface Ipv4Fields extends EthernetFields {
  readonly source: string;
  readonly destination: string;
  /** 64. */
  readonly timeToLive?: number;
  /** 0. */
  readonly typeOfService?: number;
  /** 0. */
  readonly identification?: number;
  /** True. */
  readonly dontFragment?: boolean;
  /** False. */
  readonly moreFragments?: boolean;
  /** 0. */
  readonly fragmentOffsetBytes?: number;
  /** None. */
  readonly ipOptions?: Uint8Array;
}

interface PortFields extends Ipv4Fields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** None. */
  readonly payload?: Uint8Array;
  /** True: the checksum field holds the sum of the pseudo-header only, as offloads leave it. */
  readonly partialChecksum?: boolean;
}

export type UdpFields = PortFields;

export interface TcpFields extends PortFields {
  /** ACK. */
  readonly flags?: number;
  /** 0. */
  readonly sequence?: number;
  /** 0. */
  readonly acknowledgment?: number;
  /** 64240. */
  readonly window?: number;
  /** None. */
  readonly options?: Uint8Array;
}

export interface IcmpEchoFields extends Ipv4Fields {
  /** ECHO_REQUEST. */
  readonly type?: number;
  readonly identifier: number;
  readonly sequence: number;
  /** None. */
  readonly payload?: Uint8Array;
}

export interface IcmpErrorFields extends Ipv4Fields {
  readonly type: number;
  /** 0. */
  readonly code?: number;
  /** 0. */
  readonly nextHopMtu?: number;
  /** The packet that it speaks of, from its IP header on, or the beginning of it. */
  readonly quote: Uint8Array;
}

export interface ArpFields extends EthernetFields {
  readonly operation: number;
  /** `sourceMac`. */
  readonly senderMac?: string;
  readonly senderAddress: string;
  /** All zero, as in a request. */
  readonly targetMac?: string;
  readonly targetAddress: string;
}

function addressOf(text: string): number {
  const address = parseIpv4(text);
  if (address === undefined) throw new TypeError(`'${text}' is no IPv4 address like 192.0.2.1`);
  return address;
}

function macOf(text: string): Mac {
  const mac = parseMac(text);
  if (!mac) throw new TypeError(`'${text}' is no MAC address like 02:00:00:00:00:01`);
  return mac;
}

function ethernetFrame(fields: EthernetFields, type: number, payloadBytes: number): DataView {
  const frame = new DataView(new ArrayBuffer(L3 + payloadBytes));
  const destination = macOf(fields.destinationMac);
  const source = macOf(fields.sourceMac);
  ethernet.setDestination(frame, 0, destination.high, destination.low);
  ethernet.setSource(frame, 0, source.high, source.low);
  ethernet.setType(frame, 0, type);
  return frame;
}

function ipv4Frame(fields: Ipv4Fields, protocol: number, payloadBytes: number) {
  const header: ipv4.Header = {
    typeOfService: fields.typeOfService ?? 0,
    identification: fields.identification ?? 0,
    dontFragment: fields.dontFragment ?? true,
    moreFragments: fields.moreFragments ?? false,
    fragmentOffsetBytes: fields.fragmentOffsetBytes ?? 0,
    timeToLive: fields.timeToLive ?? 64,
    protocol,
    source: addressOf(fields.source),
    destination: addressOf(fields.destination),
    options: fields.ipOptions ?? NO_BYTES,
    payloadBytes,
  };
  const bytes = ipv4.HEADER_BYTES + header.options.length + payloadBytes;
  const frame = ethernetFrame(fields, ethernet.TYPE_IPV4, bytes);
  return { frame, header, l4: L3 + ipv4.emit(frame, L3, header) };
}

/** Puts the sum of the pseudo-header where the finished checksum was. */
function makePartial(frame: DataView, header: ipv4.Header, field: number): void {
  const { source, destination, protocol, payloadBytes } = header;
  frame.setUint16(field, checksum.pseudoHeader(source, destination, protocol, payloadBytes));
}

const bytesOf = (frame: DataView) => new Uint8Array(frame.buffer as ArrayBuffer);

/** A whole Ethernet frame with a TCP segment. @throws TypeError if an address is none */
export function tcpFrame(fields: TcpFields): Uint8Array<ArrayBuffer> {
  const segment: tcp.Segment = {
    sourcePort: fields.sourcePort,
    destinationPort: fields.destinationPort,
    sequence: fields.sequence ?? 0,
    acknowledgment: fields.acknowledgment ?? 0,
    flags: fields.flags ?? tcp.ACK,
    window: fields.window ?? 64240,
    urgentPointer: 0,
    options: fields.options ?? NO_BYTES,
    payload: fields.payload ?? NO_BYTES,
  };
  const bytes = tcp.HEADER_BYTES + segment.options.length + segment.payload.length;
  const { frame, header, l4 } = ipv4Frame(fields, ipv4.PROTOCOL_TCP, bytes);
  tcp.emit(frame, l4, segment, header);
  if (fields.partialChecksum) makePartial(frame, header, l4 + tcp.CHECKSUM_OFFSET);
  return bytesOf(frame);
}

/** A whole Ethernet frame with a UDP datagram. @throws TypeError if an address is none */
export function udpFrame(fields: UdpFields): Uint8Array<ArrayBuffer> {
  const payload = fields.payload ?? NO_BYTES;
  const bytes = udp.HEADER_BYTES + payload.length;
  const { frame, header, l4 } = ipv4Frame(fields, ipv4.PROTOCOL_UDP, bytes);
  udp.emit(frame, l4, { ...fields, payload }, header);
  if (fields.partialChecksum) makePartial(frame, header, l4 + udp.CHECKSUM_OFFSET);
  return bytesOf(frame);
}

/** A whole Ethernet frame with an ICMP echo message. @throws TypeError if an address is none */
export function icmpEchoFrame(fields: IcmpEchoFields): Uint8Array<ArrayBuffer> {
  const payload = fields.payload ?? NO_BYTES;
  const bytes = icmp.HEADER_BYTES + payload.length;
  const { frame, l4 } = ipv4Frame(fields, ipv4.PROTOCOL_ICMP, bytes);
  icmp.emit(frame, l4, { ...fields, type: fields.type ?? icmp.ECHO_REQUEST, payload });
  return bytesOf(frame);
}

/** A whole Ethernet frame with an ICMP error. @throws TypeError if an address is none */
export function icmpErrorFrame(fields: IcmpErrorFields): Uint8Array<ArrayBuffer> {
  const bytes = icmp.HEADER_BYTES + fields.quote.length;
  const { frame, l4 } = ipv4Frame(fields, ipv4.PROTOCOL_ICMP, bytes);
  icmp.emitError(frame, l4, { code: 0, nextHopMtu: 0, ...fields });
  return bytesOf(frame);
}

/** A whole Ethernet frame with an ARP packet. @throws TypeError if an address is none */
export function arpFrame(fields: ArpFields): Uint8Array<ArrayBuffer> {
  const frame = ethernetFrame(fields, ethernet.TYPE_ARP, arp.BYTES);
  const sender = macOf(fields.senderMac ?? fields.sourceMac);
  const target = macOf(fields.targetMac ?? '00:00:00:00:00:00');
  arp.emit(frame, L3, {
    operation: fields.operation,
    senderMacHigh: sender.high,
    senderMacLow: sender.low,
    senderAddress: addressOf(fields.senderAddress),
    targetMacHigh: target.high,
    targetMacLow: target.low,
    targetAddress: addressOf(fields.targetAddress),
  });
  return bytesOf(frame);
}
