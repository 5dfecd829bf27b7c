// The flow cache: the kernel repeats what the director has decided of a flow. A program at the
// ingress of each arm sends the flow's frames on before they reach user space; what it counts, and
// when, lies in memory that this process sees too. See flow-cache-programs.ts for the programs, and
// native-notes/flow-cache.md for the order in which the kernel runs them.
import {
  attachToIngress,
  type Bpf,
  createHash,
  createMappedArray,
  createOwnArrays,
  deleteElement,
  loadProgram,
  openBpf,
  SCHED_CLS,
  SOCKET_FILTER,
  updateElement,
} from '../linux/bpf-unsafe.ts';
import { type Libc, loadLibc } from '../linux/libc-unsafe.ts';
import {
  attachProgram,
  openOrRelease,
  type Releases,
  releaseAll,
} from '../linux/packet-socket-unsafe.ts';
import * as checksum from '../wire/checksum.ts';
import type { Arm } from './datapath.ts';
import { assemble } from './ebpf.ts';
import {
  type CacheMaps,
  DECISION_BYTES,
  filterLines,
  forwarderLines,
  KEY_BYTES,
  PAIR_BYTES,
  REWRITE,
  ROW,
  ROW_BYTES,
  SIDE_BYTES,
  STATION,
} from './flow-cache-programs.ts';
import type { Instruction } from './socket-filter.ts';

/** A key's words: source, destination and ports are big-endian, as in the packet. */
export interface FlowKey {
  readonly source: number;
  readonly destination: number;
  readonly ports: number;
  readonly protocol: number;
}

/** What shall become of one direction of a flow. Addresses and ports are int32, as in a packet. */
export interface Repetition {
  /** 0 for requests, 1 for replies, of this real id. */
  readonly real: number;
  readonly reply: number;
  readonly fromArm: number;
  readonly toArm: number;
  /** Longest frame that may leave, with its Ethernet header. */
  readonly limit: number;
  /** Destination and source of the frame: three words, or more, as they lie in it. */
  readonly macs: Int32Array;
  /** With `rewrites`, of a request: whence alone the frames may come; as the MAC of an `Arm`. */
  readonly stationHigh: number;
  readonly stationLow: number;
  /** Whether addresses and ports become these. */
  readonly rewrites: boolean;
  readonly source: number;
  readonly destination: number;
  readonly ports: number;
  /** Changes of checksums as `requestDeltas` gives them: address | both << 16. */
  readonly deltas: number;
}

export interface FlowCache {
  readonly bpf: Bpf;
  readonly maps: CacheMaps;
  /** Rows in all; a row is one direction of a flow. */
  readonly capacity: number;
  /** Gives the kernel a row for a key, in place of any it has; false if there is no room. */
  lay(row: number, key: FlowKey, what: Repetition): boolean;
  /** Takes the row of a key away. A program that runs just now may still read it. */
  lift(key: FlowKey): void;
  /** Milliseconds since the row's latest frame, or since it was laid. */
  idleMs(row: number): number;
  /** From now on the rows of a real are good for nothing, until they are laid anew. */
  outdate(real: number): void;
  /** Frames and bytes sent to a real, or of its replies, since start. */
  framesOf(real: number, reply: number): number;
  bytesOf(real: number, reply: number): number;
  framesBetween(fromArm: number, toArm: number): number;
  bytesBetween(fromArm: number, toArm: number): number;
  close(): void;
}

export interface FlowCacheOptions {
  readonly arms: readonly Arm[];
  /** Real ids are below this. */
  readonly reals: number;
  readonly capacity: number;
}

/** The least that an array of the kernel's has for an entry. */
const SEEN_BYTES = 8;
const SEEN_WORDS = SEEN_BYTES / 4;
const SIDE_WORDS = SIDE_BYTES / 4;
const PAIR_WORDS = PAIR_BYTES / 4;
/** The unit of a row's time, in milliseconds: 2^20 ns. */
const UNIT_MS = 1.048576;
/** One of the TTL less, in the header's sum: ~x + (x - 0x0100). */
const TTL_DELTA = 0xfeff;

/**
 * Makes maps and programs, and begins to look at the arms' frames. Only on a little-endian host.
 * @throws Error with errno's name if the kernel refuses (CAP_BPF, CAP_NET_ADMIN, Linux 6.6); then
 * nothing is left open
 */
export function openFlowCache(options: FlowCacheOptions, libc: Libc = loadLibc()): FlowCache {
  return openOrRelease((releases) => openWith(libc, options, releases));
}

function openWith(
  libc: Libc,
  { arms, reals, capacity }: FlowCacheOptions,
  releases: Releases,
): FlowCache {
  const bpf = openBpf(libc, releases);
  const array = (name: string, valueBytes: number, entries: number) =>
    createMappedArray(bpf, { name, valueBytes, entries }, releases);
  const layout = { name: 'furiwake_rows', keyBytes: KEY_BYTES, valueBytes: ROW_BYTES };
  const rows = createHash(bpf, { ...layout, entries: capacity }, releases);
  const seen = array('furiwake_seen', SEEN_BYTES, capacity);
  const sides = array('furiwake_sides', SIDE_BYTES, reals * 2);
  const pairs = array('furiwake_pairs', PAIR_BYTES, arms.length * arms.length);
  const own = { name: 'furiwake_decided', valueBytes: DECISION_BYTES, entries: 1 };
  const decision = createOwnArrays(bpf, own, releases);
  const maps: CacheMaps = { rows, seen: seen.fd, sides: sides.fd, pairs: pairs.fd, decision };
  const forwarder = assemble(forwarderLines(maps));
  const program = loadProgram(bpf, SCHED_CLS, 'furiwake_send', forwarder, releases);
  for (const { interfaceIndex } of arms) attachToIngress(bpf, program, interfaceIndex, releases);
  const seenWords = new Int32Array(seen.view);
  const sideWords = new Int32Array(sides.view);
  const pairWords = new Int32Array(pairs.view);
  const key = new DataView(new ArrayBuffer(KEY_BYTES));
  const bytes = new DataView(new ArrayBuffer(ROW_BYTES));
  const pairAt = (from: number, to: number) => (from * arms.length + to) * PAIR_WORDS;
  const sideAt = (real: number, reply: number) => (real * 2 + reply) * SIDE_WORDS;
  let serial = 0;
  return {
    bpf,
    maps,
    capacity,
    lay(row, of, what) {
      const side = what.real * 2 + what.reply;
      seenWords[row * SEEN_WORDS] = unitsNow() | 0;
      layWords(bytes, what);
      serial = (serial + 1) | 0;
      for (const at of [ROW.serial, ROW.serialAgain]) bytes.setInt32(at, serial, true);
      bytes.setInt32(ROW.number, row, true);
      bytes.setInt32(ROW.epoch, sideWords[side * SIDE_WORDS] as number, true);
      bytes.setInt32(ROW.side, side, true);
      bytes.setInt32(ROW.fromInterface, interfaceOf(arms, what.fromArm), true);
      bytes.setInt32(ROW.toInterface, interfaceOf(arms, what.toArm), true);
      bytes.setInt32(ROW.pair, what.fromArm * arms.length + what.toArm, true);
      layKey(bytes, ROW.key, of);
      layKey(key, 0, of);
      return updateElement(bpf, rows, bytesOf(key), bytesOf(bytes));
    },
    lift(of) {
      layKey(key, 0, of);
      deleteElement(bpf, rows, bytesOf(key));
    },
    idleMs(row) {
      const units = (unitsNow() - (seenWords[row * SEEN_WORDS] as number)) | 0;
      // A frame may come between the two looks.
      return Math.max(0, units) * UNIT_MS;
    },
    outdate(real) {
      for (const reply of [0, 1]) Atomics.add(sideWords, sideAt(real, reply), 1);
    },
    framesOf: (real, reply) => readCount(sideWords, sideAt(real, reply) + 2),
    bytesOf: (real, reply) => readCount(sideWords, sideAt(real, reply) + 4),
    framesBetween: (from, to) => readCount(pairWords, pairAt(from, to)),
    bytesBetween: (from, to) => readCount(pairWords, pairAt(from, to) + 2),
    close: () => releaseAll(releases),
  };
}

const interfaceOf = (arms: readonly Arm[], arm: number): number => arms[arm]?.interfaceIndex ?? 0;

/**
 * Gives a socket the classic program as its filter, behind what keeps the cache's frames out.
 * @returns as `attachFilter`
 */
export function filterSocket(
  { bpf, maps }: Pick<FlowCache, 'bpf' | 'maps'>,
  socket: number,
  classic: readonly Instruction[],
): boolean {
  const releases: Releases = [];
  try {
    const lines = assemble(filterLines(maps, classic));
    const program = loadProgram(bpf, SOCKET_FILTER, 'furiwake_filter', lines, releases);
    return attachProgram(bpf.libc, socket, program);
  } finally {
    releaseAll(releases);
  }
}

/** What the row says of the frame itself. */
function layWords(bytes: DataView, what: Repetition): void {
  const { deltas, rewrites } = what;
  bytes.setInt32(ROW.flags, rewrites ? REWRITE | (what.reply ? 0 : STATION) : 0, true);
  bytes.setInt32(ROW.limit, what.limit, true);
  for (let word = 0; word < 3; word++) {
    bytes.setInt32(ROW.macs + 4 * word, what.macs[word] as number);
  }
  bytes.setInt32(ROW.station, what.stationHigh);
  bytes.setUint16(ROW.station + 4, what.stationLow);
  bytes.setInt32(ROW.addresses, what.source);
  bytes.setInt32(ROW.addresses + 4, what.destination);
  bytes.setInt32(ROW.addresses + 8, what.ports);
  const address = deltas & 0xffff;
  const ports = checksum.fold((deltas >>> 16) + (~address & 0xffff));
  bytes.setInt32(ROW.headerDelta, swap16(checksum.fold(address + TTL_DELTA)), true);
  bytes.setInt32(ROW.addressDelta, swap16(address), true);
  bytes.setInt32(ROW.portDelta, swap16(ports), true);
}

/** One's-complement sums do not mind the order of bytes, as long as it is one (RFC 1071). */
const swap16 = (word: number): number => ((word & 0xff) << 8) | ((word >>> 8) & 0xff);

function layKey(
  view: DataView,
  at: number,
  { source, destination, ports, protocol }: FlowKey,
): void {
  view.setInt32(at, source);
  view.setInt32(at + 4, destination);
  view.setInt32(at + 8, ports);
  view.setInt32(at + 12, protocol, true);
}

const bytesOf = ({ buffer }: DataView): Uint8Array => new Uint8Array(buffer);

/** CLOCK_MONOTONIC in the units of a row. */
function unitsNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return Math.floor((seconds * 1e9 + nanoseconds) / 2 ** 20);
}

/** 64 bits that the kernel adds to meanwhile: read again if the high half moved in between. */
function readCount(words: Int32Array, at: number): number {
  for (;;) {
    const high = Atomics.load(words, at + 1);
    const low = Atomics.load(words, at) >>> 0;
    if (Atomics.load(words, at + 1) === high) return high * 2 ** 32 + low;
  }
}
