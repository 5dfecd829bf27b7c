// Frames that Linux sent on a veth pair between two namespaces (checksum offload off), as an
// AF_PACKET socket saw them; and the two ways that tests make a buffer to work on.

const ARP_REQUEST =
  'ffffffffffff020000000a0108060001080006040001020000000a01c0000201000000000000c0000202';
const ARP_REPLY =
  '020000000a01020000000b0208060001080006040002020000000b02c0000202020000000a01c0000201';
const ECHO_REQUEST =
  '020000000b02020000000a01080045000054eace40004001cbd6c0000201c00002020800959022cb0001' +
  '4fbd026b0000000027a8070000000000101112131415161718191a1b1c1d1e1f20212223242526272829' +
  '2a2b2c2d2e2f3031323334353637';
const ECHO_REPLY =
  '020000000a01020000000b0208004500005491b90000400164ecc0000202c000020100009d9022cb0001' +
  '4fbd026b0000000027a8070000000000101112131415161718191a1b1c1d1e1f20212223242526272829' +
  '2a2b2c2d2e2f3031323334353637';
const UDP =
  '020000000b02020000000a01080045000024bc6840004011fa5cc0000201c00002028213000700103e0a' +
  '6675726977616b65';
/** With a Record Route option, which the kernel padded to 12 bytes. */
const UDP_WITH_IP_OPTIONS =
  '020000000b02020000000a0108004800002bbc6f40004011e681c0000201c0000202070b08c000020100' +
  '00000000b1710007000be6ea6f7074';
/** From 192.0.2.2, for the UDP frame above. */
const PORT_UNREACHABLE =
  '020000000a01020000000b02080045c0004091ba00004001643fc0000202c00002010303812200000000' +
  '45000024bc6840004011fa5cc0000201c00002028213000700103e0a6675726977616b65';
const TCP_SYN =
  '020000000b02020000000a0108004500003c015c40004006b55cc0000201c0000202927c1f906ab967da' +
  '00000000a002faf0b77b0000020405b40402080a2d595f93000000000103030a';
const TCP_SYN_ACK =
  '020000000a01020000000b0208004500003c000040004006b6b8c0000202c00002011f90927c31a7a5e9' +
  '6ab967dba012fe8809ce0000020405b40402080a4d7584fe2d595f930103030a';
/** With the two bytes `hi`. */
const TCP_DATA =
  '020000000b02020000000a01080045000036015e40004006b560c0000201c0000202927c1f906ab967db' +
  '31a7a5ea8018003fce7300000101080a2d595f934d7584fe6869';

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** A fresh view on the bytes of a hexadecimal text. */
export const fromHex = (hex: string): DataView =>
  viewOf(Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));

/** The bytes of a view. */
export const bytesIn = (frame: DataView): Uint8Array =>
  new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength);

/** A buffer of rubbish to build in: what is not written shows. */
export const rubbish = (bytes: number): DataView => viewOf(new Uint8Array(bytes).fill(0xa5));

/** A fresh copy of a captured frame. */
export const captured = {
  arpRequest: () => fromHex(ARP_REQUEST),
  arpReply: () => fromHex(ARP_REPLY),
  echoRequest: () => fromHex(ECHO_REQUEST),
  echoReply: () => fromHex(ECHO_REPLY),
  udp: () => fromHex(UDP),
  udpWithIpOptions: () => fromHex(UDP_WITH_IP_OPTIONS),
  portUnreachable: () => fromHex(PORT_UNREACHABLE),
  tcpSyn: () => fromHex(TCP_SYN),
  tcpSynAck: () => fromHex(TCP_SYN_ACK),
  tcpData: () => fromHex(TCP_DATA),
} as const;
