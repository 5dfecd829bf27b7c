// UDP frames from `left` to `right` of private-wire.sh, for the notes that send by hand.
import { udpFrame } from '../dist/lab/frame.js';

export const LEFT = '02:00:00:00:00:01';
export const RIGHT = '02:00:00:00:00:02';

/** `fields` replace what udpFrame in lab/frame.ts is given here. */
export function wireFrame(payloadBytes, fields = {}) {
  return udpFrame({
    sourceMac: LEFT,
    destinationMac: RIGHT,
    source: '10.0.0.1',
    destination: '10.0.0.2',
    sourcePort: 1000,
    destinationPort: 2000,
    payload: new Uint8Array(payloadBytes).fill(0x42),
    ...fields,
  });
}

const NEEDS_CSUM = 1;
const GSO_UDP_L4 = 5;

/** A virtio_net_hdr and a frame that stands for several datagrams of `segmentBytes` bytes. */
export function superFrame(payloadBytes, segmentBytes) {
  const frame = wireFrame(payloadBytes, { partialChecksum: true });
  const bytes = new Uint8Array(10 + frame.length);
  bytes.set(frame, 10);
  const header = new DataView(bytes.buffer);
  header.setUint8(0, NEEDS_CSUM);
  header.setUint8(1, GSO_UDP_L4);
  header.setUint16(2, 42, true); // hdr_len: Ethernet, IPv4, UDP
  header.setUint16(4, segmentBytes, true); // gso_size
  header.setUint16(6, 34, true); // csum_start
  header.setUint16(8, 6, true); // csum_offset: that of UDP
  return bytes;
}
