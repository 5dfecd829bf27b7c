// AF_PACKET sockets (packet(7), Linux Documentation/networking/packet_mmap.rst): open, filter, give
// them a TPACKET_V2 ring, bind. Needs CAP_NET_RAW and nothing more.
import { int32Bytes, type Libc } from './libc-unsafe.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_ALL = 0x0003;

const ENOMEM = 12;

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_SNDTIMEO = 21;
const SO_ATTACH_FILTER = 26;
const SO_ATTACH_BPF = 50;

const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_DROP_MEMBERSHIP = 2;
const PACKET_RX_RING = 5;
const PACKET_STATISTICS = 6;
const PACKET_VERSION = 10;
const PACKET_RESERVE = 12;
const PACKET_VNET_HDR = 15;
const PACKET_FANOUT = 18;
const PACKET_QDISC_BYPASS = 20;
const PACKET_FANOUT_DATA = 22;
const PACKET_IGNORE_OUTGOING = 23;
const TPACKET_V2 = 1;
const FANOUT_CBPF = 6;
/** The kernel chooses a group that nobody has. */
const FANOUT_UNIQUE_ID = 0x2000;
/** For a group, what PACKET_IGNORE_OUTGOING is for a single socket; since Linux 6.0. */
const FANOUT_IGNORE_OUTGOING = 0x4000;
const PACKET_MR_MULTICAST = 0;
const PACKET_MR_ALLMULTI = 2;
/** The first two bytes of every multicast MAC address of IPv6 (RFC 2464, 7). */
const MULTICAST6_MAC = 0x3333;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FIXED = 0x10;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_FAILED = 0xffffffffffffffffn;

/** Bytes of the virtio_net_hdr before each frame (include/uapi/linux/virtio_net.h). */
export const VNET_HEADER_BYTES = 10;
/** Long enough for a 10 Mbit/s link to send the largest frame and so make room for the next. */
const SEND_TIMEOUT_MICROSECONDS = 60_000n;
/**
 * Room in front of a frame for outer headers, the HEADROOM_BYTES of a datapath: 76 bytes are free
 * then between the ring's own header and the frame, ten of them for the virtio_net_hdr. IPv4 begins
 * on a multiple of eight, and 54 bytes of headers fill one cache line from where they start.
 */
const RESERVE_BYTES = 62;

/** Instead of a fanout group's number, of which 0 is one like any other. */
export const NEW_GROUP = -1;

/** How a ring is laid out; frames never straddle two blocks. */
export interface RingLayout {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly frameBytes: number;
  readonly frames: number;
}

/** Memory of our own for structures that hold pointers. */
export interface Scratch {
  readonly address: bigint;
  readonly view: DataView;
}

/** How to give back what was opened: sockets and memory, in reverse order. */
export type Releases = (() => void)[];

/** Gives all back, once. */
export function releaseAll(releases: Releases): void {
  for (const release of releases.splice(0).reverse()) release();
}

/** What `open` gives; if it fails half-way, what it had opened is given back. */
export function openOrRelease<T>(open: (releases: Releases) => T): T {
  const releases: Releases = [];
  try {
    return open(releases);
  } catch (error) {
    releaseAll(releases);
    throw error;
  }
}

const NEEDED = 'which needs CAP_NET_RAW in the user namespace that owns this network namespace';

/** Name of errors by which the kernel refused something: no bug, so nobody needs their stack. */
export const REFUSAL = 'KernelRefusal';

export function fail(libc: Libc, what: string): never {
  const errno = libc.errno();
  throw Object.assign(new Error(`${what}: ${libc.nameOf(errno)}`), { name: REFUSAL });
}

/** After its release the view must not be touched: its addresses may be anything else's by then. */
export function mapScratch(libc: Libc, bytes: number, releases: Releases): Scratch {
  const address = libc.mmap(null, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (address === MAP_FAILED) fail(libc, `mmap of ${bytes} bytes`);
  releases.push(() => libc.munmap(address, bytes));
  return { address, view: new DataView(libc.view(address, bytes)) };
}

/** Memory that a descriptor stands for, as the kernel sees it; it ends as that of `mapScratch`. */
export function mapShared(libc: Libc, fd: number, bytes: number, releases: Releases): ArrayBuffer {
  const address = libc.mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (address === MAP_FAILED) fail(libc, `mmap of ${bytes} bytes of a descriptor`);
  releases.push(() => libc.munmap(address, bytes));
  return libc.view(address, bytes);
}

/** A packet socket that gets no frames until it is bound. */
export function openPacketSocket(libc: Libc, releases: Releases): number {
  const fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(libc, `cannot open a packet socket, ${NEEDED}`);
  releases.push(() => libc.close(fd));
  setOption(libc, fd, PACKET_VNET_HDR, 1, 'PACKET_VNET_HDR');
  setQueueBypass(libc, fd, true);
  setOption(libc, fd, PACKET_IGNORE_OUTGOING, 1, 'PACKET_IGNORE_OUTGOING');
  limitSendTime(libc, fd);
  return fd;
}

/**
 * Whether frames go past the device's queue discipline: faster, but then nobody cuts super-frames.
 */
export function setQueueBypass(libc: Libc, fd: number, bypasses: boolean): void {
  setOption(libc, fd, PACKET_QDISC_BYPASS, bypasses ? 1 : 0, 'PACKET_QDISC_BYPASS');
}

/** A device that is slow to take frames holds the loop no longer than this. */
function limitSendTime(libc: Libc, fd: number): void {
  // struct timeval: seconds and microseconds.
  const timeout = new Uint8Array(16);
  new DataView(timeout.buffer).setBigInt64(8, SEND_TIMEOUT_MICROSECONDS, true);
  if (libc.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeout, 16) !== 0) fail(libc, 'SO_SNDTIMEO');
}

function setOption(libc: Libc, fd: number, option: number, value: number, name: string): void {
  if (libc.setsockopt(fd, SOL_PACKET, option, int32Bytes(value), 4) !== 0) fail(libc, name);
}

/**
 * Replaces the socket's filter; the program comes from socket-filter.ts.
 * @returns false if it needs more memory than the kernel gives a socket (net.core.optmem_max:
 * 20 KiB before Linux 6.7, 128 KiB since); the old filter stays
 */
export function attachFilter(
  libc: Libc,
  fd: number,
  scratch: Scratch,
  program: Uint8Array,
): boolean {
  const description = describeProgram(scratch, program);
  if (libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, description, 16) === 0) return true;
  if (libc.errno() === ENOMEM) return false;
  fail(libc, `socket filter of ${program.length / 8} instructions`);
}

/** The same with a program of eBPF (bpf-unsafe.ts, SOCKET_FILTER), which counts alike. */
export function attachProgram(libc: Libc, fd: number, program: number): boolean {
  if (libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, int32Bytes(program), 4) === 0) return true;
  if (libc.errno() === ENOMEM) return false;
  fail(libc, 'SO_ATTACH_BPF');
}

/** Lays a program into `scratch`; returns the struct sock_fprog that leads there. */
function describeProgram(scratch: Scratch, program: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(scratch.view.buffer);
  bytes.set(program, 16);
  scratch.view.setUint16(0, program.length / 8, true);
  scratch.view.setBigUint64(8, scratch.address + 16n, true);
  return bytes.slice(0, 16);
}

/**
 * Joins a fanout group: each frame goes to one of its sockets only. A socket's number in the group
 * is how many joined before it, now and whenever the link comes back.
 * @param group as another socket got it, or NEW_GROUP
 * @returns the group
 */
export function joinFanout(libc: Libc, fd: number, group: number): number {
  const isNew = group === NEW_GROUP;
  const how = FANOUT_CBPF | FANOUT_IGNORE_OUTGOING | (isNew ? FANOUT_UNIQUE_ID : 0);
  const option = (isNew ? 0 : group) | (how << 16);
  setOption(libc, fd, PACKET_FANOUT, option, 'PACKET_FANOUT (Linux 6.0 or later)');
  const value = new Uint8Array(4);
  if (libc.getsockopt(fd, SOL_PACKET, PACKET_FANOUT, value, int32Bytes(4)) !== 0) {
    fail(libc, 'PACKET_FANOUT');
  }
  return new DataView(value.buffer).getUint16(0, true);
}

/** Replaces the program that chooses the socket, for the whole group. */
export function setFanoutProgram(
  libc: Libc,
  fd: number,
  scratch: Scratch,
  program: Uint8Array,
): void {
  const description = describeProgram(scratch, program);
  if (libc.setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, description, 16) === 0) return;
  fail(libc, `fanout program of ${program.length / 8} instructions`);
}

/** Makes the receive ring. It exists from now on; `mapRing` makes it visible. */
export function createRing(libc: Libc, fd: number, layout: RingLayout): void {
  setOption(libc, fd, PACKET_VERSION, TPACKET_V2, 'PACKET_VERSION');
  setOption(libc, fd, PACKET_RESERVE, RESERVE_BYTES, 'PACKET_RESERVE');
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  view.setUint32(0, layout.blockBytes, true);
  view.setUint32(4, layout.blocks, true);
  view.setUint32(8, layout.frameBytes, true);
  view.setUint32(12, layout.frames, true);
  if (libc.setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, 16) !== 0) {
    fail(libc, `PACKET_RX_RING of ${layout.frames} frames of ${layout.frameBytes} bytes`);
  }
}

/** Maps a ring over a part of memory that is ours already (from mapScratch). */
export function mapRing(libc: Libc, fd: number, layout: RingLayout, at: bigint): void {
  const bytes = layout.blockBytes * layout.blocks;
  const mapped = libc.mmap(at, bytes, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (mapped !== at) fail(libc, `mmap of the ring's ${bytes} bytes`);
}

/** Binds to an interface; ETH_P_ALL, since a socket for IPv4 alone starves behind the guard. */
export function bindTo(libc: Libc, fd: number, interfaceIndex: number): void {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL, false);
  view.setInt32(4, interfaceIndex, true);
  if (libc.bind(fd, address, 20) !== 0) fail(libc, `bind to interface ${interfaceIndex}`);
}

/**
 * Makes the interface take frames to a multicast group of IPv6, or leave them again; without this a
 * network card passes them over. The kernel counts who wants a group, and an end of the socket too.
 * @param group the last four bytes of the group's MAC address, int32; or all groups
 */
export function setMembership(
  libc: Libc,
  fd: number,
  {
    interfaceIndex,
    group,
    joins,
  }: { interfaceIndex: number; group: number | 'all'; joins: boolean },
): void {
  // struct packet_mreq: interface, type, length of the address, eight bytes of it.
  const request = new Uint8Array(16);
  const view = new DataView(request.buffer);
  view.setInt32(0, interfaceIndex, true);
  view.setUint16(4, group === 'all' ? PACKET_MR_ALLMULTI : PACKET_MR_MULTICAST, true);
  view.setUint16(6, 6, true);
  view.setUint16(8, group === 'all' ? 0 : MULTICAST6_MAC);
  view.setInt32(10, group === 'all' ? 0 : group);
  const option = joins ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP;
  // An interface that is gone has no groups to leave.
  if (libc.setsockopt(fd, SOL_PACKET, option, request, 16) === 0 || !joins) return;
  fail(libc, `PACKET_ADD_MEMBERSHIP of interface ${interfaceIndex}`);
}

/** Frames that the kernel dropped since the last call, because the ring was full. */
export function takeDrops(libc: Libc, fd: number): number {
  const value = new Uint8Array(8);
  const length = int32Bytes(8);
  if (libc.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, value, length) !== 0) return 0;
  return new DataView(value.buffer).getUint32(4, true);
}

/** Reads and clears the pending error of a socket; ENETDOWN when its link went down. */
export function takeError(libc: Libc, fd: number): number {
  const value = new Uint8Array(4);
  const length = int32Bytes(4);
  if (libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length) !== 0) return 0;
  return new DataView(value.buffer).getInt32(0, true);
}
