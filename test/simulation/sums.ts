// Every sum of a frame, looked at word by word as its RFC tells it, for every frame that a director
// sends: whatever it rewrites, answers or quotes must be right to the last header inside.
import { GUE_PORT } from '../../src/wire/tunnel.ts';
import { crc32c } from '../wire/sctp-frames.ts';

const L3 = 14;
const [ICMP, IPIP, TCP, UDP, IPV6, FRAGMENT, ICMP6, SCTP] = [1, 4, 6, 17, 41, 44, 58, 132];
/** The fixed header of ICMP, before the packet that an error quotes. */
const ICMP_BYTES = 8;

/** The one's complement sum of 16-bit words; an odd last byte is padded with 0. */
function sumOf(frame: DataView, from: number, to: number, seed: number): number {
  let sum = seed;
  for (let at = from; at + 1 < to; at += 2) sum += frame.getUint16(at);
  if ((to - from) % 2 === 1) sum += frame.getUint8(to - 1) * 256;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

/** What is wrong with a frame, in words; undefined if nothing is. */
export function findBadSum(bytes: Uint8Array): string | undefined {
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = frame.getUint16(12);
  if (type === 0x0800 || type === 0x86dd) return findInPacket(frame, L3, bytes.length);
  return type === 0x0806 ? undefined : `an EtherType of ${type}`;
}

/** @param end of what is there: a packet that goes on behind it is one that was quoted in part */
function findInPacket(frame: DataView, l3: number, end: number): string | undefined {
  return frame.getUint8(l3) >>> 4 === 4 ? findInIpv4(frame, l3, end) : findInIpv6(frame, l3, end);
}

function findInIpv4(frame: DataView, l3: number, end: number): string | undefined {
  const l4 = l3 + (frame.getUint8(l3) & 15) * 4;
  const last = l3 + frame.getUint16(l3 + 2);
  if (sumOf(frame, l3, l4, 0) !== 0xffff) return 'the sum of an IPv4 header';
  const isPiece = (frame.getUint16(l3 + 6) & 0x3fff) !== 0;
  if (isPiece || last > end) return undefined;
  const protocol = frame.getUint8(l3 + 9);
  if (protocol === ICMP) return findInIcmp(frame, l4, last, 0);
  const pseudo = sumOf(frame, l3 + 12, l3 + 20, protocol + last - l4);
  return findCarried(frame, protocol, l4, last, pseudo, true);
}

function findInIpv6(frame: DataView, l3: number, end: number): string | undefined {
  const l4 = l3 + 40;
  const last = l4 + frame.getUint16(l3 + 4);
  const protocol = frame.getUint8(l3 + 6);
  if (protocol === FRAGMENT || last > end) return undefined;
  const pseudo = sumOf(frame, l3 + 8, l4, protocol + last - l4);
  if (protocol === ICMP6) return findInIcmp(frame, l4, last, pseudo);
  return findCarried(frame, protocol, l4, last, pseudo, false);
}

function findCarried(
  frame: DataView,
  protocol: number,
  l4: number,
  last: number,
  pseudo: number,
  mayLackSum: boolean,
): string | undefined {
  if (protocol === IPIP || protocol === IPV6) return findInPacket(frame, l4, last);
  if (protocol === SCTP) {
    const packet = new Uint8Array(frame.buffer, frame.byteOffset + l4, last - l4).slice();
    const found = new DataView(packet.buffer).getUint32(8, true);
    packet.fill(0, 8, 12);
    return crc32c(packet) === found ? undefined : 'the CRC32c of SCTP';
  }
  if (protocol === UDP) {
    const isGue = frame.getUint16(l4 + 2) === GUE_PORT;
    const isWithoutSum = frame.getUint16(l4 + 6) === 0;
    if (isWithoutSum && !(isGue && mayLackSum)) return 'UDP without a sum';
    if (!isWithoutSum && sumOf(frame, l4, last, pseudo) !== 0xffff) return 'the sum of UDP';
    return isGue ? findInPacket(frame, l4 + 12, last) : undefined;
  }
  if (protocol !== TCP) return `protocol ${protocol}`;
  return sumOf(frame, l4, last, pseudo) === 0xffff ? undefined : 'the sum of TCP';
}

/** An error's own sum, and those of the packet that it quotes. */
function findInIcmp(frame: DataView, l4: number, last: number, pseudo: number) {
  if (sumOf(frame, l4, last, pseudo) !== 0xffff) return 'the sum of ICMP';
  const type = frame.getUint8(l4);
  const isError = pseudo === 0 ? type === 3 || type === 11 || type === 12 : type < 128;
  if (!isError) return undefined;
  const found = findInPacket(frame, l4 + ICMP_BYTES, last);
  return found && `${found}, in a packet that an error quotes`;
}
