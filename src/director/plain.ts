// Plain packets: TCP or UDP over IPv4 without options, whole, all lengths right. That is nearly
// every packet there is, so one function with as few reads as can be makes the same checks as
// ethernet, ipv4, tcp and udp make one by one; a test holds it against them. Literal numbers, since
// V8 loads and checks an imported constant anew at every use.

/**
 * The protocol of a plain packet, 6 (TCP) or 17 (UDP); 0 for any other frame. Its layer 4 begins at
 * `at + 34`.
 * @param at offset of the Ethernet header; `end` is just past the frame's last byte
 */
export function plainProtocol(frame: DataView, at: number, end: number): number {
  const room = (end - at) | 0;
  if (room < 42) return 0;
  // EtherType 0x0800, version 4, header of five words; the type of service is anything.
  if ((frame.getInt32(at + 12) & ~0xff) !== 0x08004500) return 0;
  const total = frame.getUint16(at + 16);
  // Flags and fragment offset (16 bits), time to live, protocol.
  const word = frame.getInt32(at + 20);
  if (total + 14 > room || (word & 0x3fff0000) !== 0) return 0;
  const protocol = word & 0xff;
  if (protocol === 17) {
    const length = frame.getUint16(at + 38);
    return length >= 8 && length + 20 <= total ? 17 : 0;
  }
  if (protocol !== 6 || room < 54) return 0;
  const header = (frame.getUint8(at + 46) >>> 2) & 0x3c;
  return header >= 20 && header + 20 <= total ? 6 : 0;
}
