// The far end of the wires: one packet socket for each, with no filter and no ring, so that nothing
// here depends on what is tested. Frames leave by sendmmsg and come in by read.
import { createArmCounters } from '../../src/datapath/datapath.ts';
import {
  createSendQueue,
  flushQueue,
  queueFrame,
  type SendQueue,
  splitAddress,
} from '../../src/datapath/send-queue-unsafe.ts';
import { readInterface } from '../../src/linux/interfaces.ts';
import { int32Bytes, loadLibc } from '../../src/linux/libc-unsafe.ts';
import {
  bindTo,
  mapScratch,
  openPacketSocket,
  type Scratch,
  VNET_HEADER_BYTES,
} from '../../src/linux/packet-socket-unsafe.ts';
import { answerParent } from './answer-parent.ts';

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const POLLIN = 1;
const ROOM_BYTES = 70_000;
const ETHERNET_FRAME_BYTES = 1514;
const TCP_AT_23 = 6;
const UDP_AT_23 = 17;
const VXLAN_PORT = 4789;

const libc = loadLibc();
const room = mapScratch(libc, ROOM_BYTES, []);
const polled = mapScratch(libc, 8, []);
const buffer = new Uint8Array(ROOM_BYTES);

interface End {
  readonly fd: number;
  readonly queue: SendQueue;
  /** With their virtio_net_hdr. */
  readonly taken: Uint8Array[];
}
let ends: End[] = [];

function openEnd(name: string): End {
  const found = readInterface(name);
  if (!found.ok) throw new Error(found.problem);
  const fd = openPacketSocket(libc, []);
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32Bytes(256 * 1024 * 1024), 4);
  bindTo(libc, fd, found.interface.index);
  const options = { fd, counters: createArmCounters(), capacity: 1, mtu: found.interface.mtu };
  return { fd, queue: createSendQueue(libc, options, []), taken: [] };
}

/**
 * Sends one frame; TCP that is longer than an Ethernet frame goes as one super-frame, like TSO's,
 * with a VLAN tag or without.
 */
function send({ queue }: End, bytes: Uint8Array): void {
  const all = new Uint8Array(room.view.buffer);
  all.fill(0, 0, VNET_HEADER_BYTES);
  all.set(bytes, VNET_HEADER_BYTES);
  const tagBytes = bytes[12] === 0x81 ? 4 : 0;
  if (bytes.length > ETHERNET_FRAME_BYTES && bytes[23 + tagBytes] === TCP_AT_23) {
    askForSegments(room, tagBytes);
  }
  if (bytes[23] === UDP_AT_23 && bytes[36] === VXLAN_PORT >> 8) askForInner(room);
  queueFrame(queue, splitAddress(room.address), 0, bytes.length + VNET_HEADER_BYTES);
  flushQueue(queue);
  if (queue.counters.failedFrames > 0) throw new Error(`a frame of ${bytes.length} was refused`);
}

/** The same for the checksum of TCP within VXLAN, all of IPv4 without options. */
function askForInner({ view }: Scratch): void {
  view.setUint8(0, 1);
  view.setUint16(6, 14 + 20 + 8 + 8 + 34, true);
  view.setUint16(8, 16, true);
}

/** struct virtio_net_hdr for TCP over IPv4 without options (include/uapi/linux/virtio_net.h). */
function askForSegments({ view }: Scratch, tagBytes: number): void {
  const NEEDS_CSUM = 1;
  const GSO_TCPV4 = 1;
  view.setUint8(0, NEEDS_CSUM);
  view.setUint8(1, GSO_TCPV4);
  view.setUint16(2, 54 + tagBytes, true);
  view.setUint16(4, 1400, true);
  view.setUint16(6, 34 + tagBytes, true);
  view.setUint16(8, 16, true);
}

function takeAll({ fd, taken }: End): number {
  polled.view.setInt32(0, fd, true);
  polled.view.setInt16(4, POLLIN, true);
  let count = 0;
  while (libc.poll(polled.address, 1, 0) > 0) {
    const bytes = libc.read(fd, buffer, buffer.length);
    if (bytes <= 0) break;
    taken.push(buffer.slice(0, bytes));
    count++;
  }
  return count;
}

function takeForEver(): void {
  const count = ends.reduce((sum, end) => sum + takeAll(end), 0);
  if (count > 0) setImmediate(takeForEver);
  else setTimeout(takeForEver, 2);
}

answerParent({
  open: (names: readonly string[]) => {
    ends = names.map(openEnd);
    takeForEver();
  },
  put: (end: number, frames: readonly Uint8Array[]) => {
    for (const frame of frames) send(ends[end]!, frame);
  },
  /** Frames from the `from`th on; the header apart. */
  taken: (end: number, from: number) => {
    takeAll(ends[end]!);
    return ends[end]!.taken.slice(from).map((bytes) => ({
      header: bytes.slice(0, VNET_HEADER_BYTES),
      bytes: bytes.slice(VNET_HEADER_BYTES),
    }));
  },
});
