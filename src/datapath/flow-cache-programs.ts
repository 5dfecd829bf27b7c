// The two programs of the flow cache, in eBPF. The socket's filter judges: a plain packet whose
// flow has a row, and about which nothing wants the director's eye, it keeps out of the ring, and
// leaves a copy of the row to the forwarder, which sees the frame next, on the same processor, and
// sends it on. All else comes to the director as without a cache. So each frame goes one way or the
// other, also in the moment in which its row comes or goes.
import {
  addAtomically,
  alu,
  aluBy,
  BYTE,
  call,
  DOUBLE,
  exit,
  FRAME,
  fromClassic,
  fromNetwork16,
  HALF,
  HELPER,
  jump,
  jumpIf,
  jumpIfBy,
  jumpIfNull,
  type Line,
  load,
  loadMap,
  move,
  placeOf,
  R0,
  R1,
  R2,
  R3,
  R4,
  R5,
  R6,
  R7,
  R8,
  R9,
  set,
  store,
  WORD,
} from './ebpf.ts';
import { type Instruction, LENGTH_TEST } from './socket-filter.ts';

/** Descriptors of the cache's maps. */
export interface CacheMaps {
  /** From a packet's key to its row. */
  readonly rows: number;
  /** By number of row: when its latest frame came, in units of 2^20 ns of CLOCK_MONOTONIC. */
  readonly seen: number;
  readonly sides: number;
  readonly pairs: number;
  /** Of each processor: what the filter has decided about the frame that is under way there. */
  readonly decision: number;
}

/** A key: source, destination, ports as in the packet; then the protocol, a word of this host. */
export const KEY_BYTES = 16;

/** What becomes of one direction of one flow; words of this host unless said otherwise. */
export const ROW_BYTES = 104;
export const ROW = {
  /** Which of all that were ever laid, at both ends: the kernel may write one while it is read. */
  serial: 0,
  /** The row is good as long as its side has the same epoch. */
  epoch: 4,
  side: 8,
  flags: 12,
  /** The only interface that frames may come from, and the one that they leave by. */
  fromInterface: 16,
  toInterface: 20,
  /** Longest frame, or longest segment of a super-frame with its headers. */
  limit: 24,
  pair: 28,
  /** Destination and source of the frame that leaves. */
  macs: 32,
  /** With STATION: the only MAC address that frames may come from. */
  station: 44,
  /** With REWRITE: source, destination and ports of the packet that leaves, as they lie in it. */
  addresses: 52,
  /** One's-complement changes, of words as this host reads them: the IPv4 header's with the TTL. */
  headerDelta: 64,
  addressDelta: 68,
  portDelta: 72,
  /** The key again: the kernel may have given the row to another one since it was found. */
  key: 76,
  number: 92,
  serialAgain: 100,
} as const;

/** Shorter frames, as of a datagram of a few bytes that nobody padded, are the director's. */
export const LEAST_FRAME_BYTES = 54;

/** The packet gets other addresses and ports, and one less of time to live. */
export const REWRITE = 1;
export const STATION = 2;

/** Requests to one real, or replies of it: the epoch, then frames and bytes of 64 bits each. */
export const SIDE_BYTES = 24;
/** From one arm to another: frames and bytes. */
export const PAIR_BYTES = 16;

/** A decision: whether there is one, the frame's length, the row. */
export const DECISION_BYTES = 8 + ROW_BYTES;
const [DECIDED, DECIDED_LENGTH, DECIDED_ROW] = [0, 4, 8];

// struct __sk_buff (include/uapi/linux/bpf.h).
const LENGTH = 0;
const PACKET_TYPE = 4;
const ETHERTYPE = 16;
const VLAN_PRESENT = 20;
const INTERFACE = 40;
const GSO_SIZE = 176;
/** 0x0800 in network byte order. */
const IPV4 = 0x0008;
const TCP = 6;
const UDP = 17;

const ETHERNET_BYTES = 14;
/** The stack: forty bytes of IPv4 and what follows it, then words of our own. */
const IP = -40;
const HEADER_BYTES = LEAST_FRAME_BYTES - ETHERNET_BYTES;
const PROTOCOL_WORD = IP + 24;
const KEY = IP + 12;
const INDEX = -4;
const HEADERS = -48;
const FROM = -56;

// What the forwarder gives back: go on with the next program, or drop.
const NEXT = -1;
const DROP = 2;

// Flags of bpf_l4_csum_replace: the change is of the pseudo-header; a checksum of 0 stays.
const PSEUDO_HEADER = 0x10;
const ZERO_STAYS = 0x20;

/**
 * The socket's filter: nothing that the cache will send, else what the classic program lets in. An
 * arm has two sockets, so each sees first whether the frame is of a length for it.
 */
export function filterLines(maps: CacheMaps, classic: readonly Instruction[]): Line[] {
  const lines = fromClassic(classic);
  // Behind the label: the test goes on there.
  const behindLength = lines.indexOf(placeOf(LENGTH_TEST)) + 1;
  return [
    move(R6, R1),
    ...lines.slice(0, behindLength),
    ...beginDecision(maps),
    ...judge(maps),
    ...decide(),
    set(R0, 0),
    exit,
    'miss',
    ...lines.slice(behindLength),
  ];
}

/** For the ingress of each arm: does what the filter has decided. */
export const forwarderLines = (maps: CacheMaps): Line[] => [
  move(R6, R1),
  ...takeDecision(maps),
  ...rewrite(),
  ...storeBytes(0, [move(R3, R7), alu('add', R3, ROW.macs)], 12),
  ...count(maps),
  load(WORD, R1, R7, ROW.toInterface),
  set(R2, 0),
  call(HELPER.redirect),
  exit,
  'drop',
  set(R0, DROP),
  exit,
  'miss',
  set(R0, NEXT),
  exit,
];

/** Of the frame in R6. Goes on with its row in R7, its length in R9; or at `miss`. */
function judge({ rows, sides }: CacheMaps): Line[] {
  return [
    load(WORD, R0, R6, PACKET_TYPE),
    jumpIf(R0, 'unequal', 0, 'miss'),
    load(WORD, R0, R6, VLAN_PRESENT),
    jumpIf(R0, 'unequal', 0, 'miss'),
    load(WORD, R0, R6, ETHERTYPE),
    jumpIf(R0, 'unequal', IPV4, 'miss'),
    load(WORD, R9, R6, LENGTH),
    ...loadBytes(ETHERNET_BYTES, IP, HEADER_BYTES),
    ...checkPlain(),
    store(WORD, FRAME, PROTOCOL_WORD, R2),
    store(WORD, FRAME, HEADERS, R3),
    ...lookUp(rows, KEY),
    move(R7, R0),
    ...checkKey(),
    load(WORD, R0, R7, ROW.fromInterface),
    load(WORD, R1, R6, INTERFACE),
    jumpIfBy(R0, 'unequal', R1, 'miss'),
    load(WORD, R0, R7, ROW.side),
    ...lookUpIndex(sides),
    load(WORD, R0, R0, 0),
    load(WORD, R1, R7, ROW.epoch),
    jumpIfBy(R0, 'unequal', R1, 'miss'),
    ...checkLength(),
    ...checkHop(),
  ];
}

/** As plain.ts; besides, TCP changes no state. Leaves protocol in R2, length of headers in R3. */
function checkPlain(): Line[] {
  return [
    load(BYTE, R0, FRAME, IP),
    jumpIf(R0, 'unequal', 0x45, 'miss'),
    load(HALF, R1, FRAME, IP + 2),
    fromNetwork16(R1),
    alu('add', R1, ETHERNET_BYTES),
    jumpIfBy(R1, 'greater', R9, 'miss'),
    load(HALF, R0, FRAME, IP + 6),
    // More fragments, or a fragment's offset: 0x3fff in network byte order.
    jumpIf(R0, 'anyBit', 0xff3f, 'miss'),
    load(BYTE, R2, FRAME, IP + 9),
    jumpIf(R2, 'equal', UDP, 'udp'),
    jumpIf(R2, 'unequal', TCP, 'miss'),
    load(BYTE, R0, FRAME, IP + 33),
    // Of SYN, FIN, RST and ACK the last alone.
    alu('and', R0, 0x17),
    jumpIf(R0, 'unequal', 0x10, 'miss'),
    load(BYTE, R3, FRAME, IP + 32),
    alu('right', R3, 2),
    alu('and', R3, 0x3c),
    jumpIf(R3, 'greater', 19, 'long enough'),
    jump('miss'),
    'long enough',
    alu('add', R3, ETHERNET_BYTES + 20),
    jumpIfBy(R3, 'greater', R1, 'miss'),
    jump('plain'),
    'udp',
    load(HALF, R0, FRAME, IP + 24),
    fromNetwork16(R0),
    set(R3, ETHERNET_BYTES + 28),
    jumpIf(R0, 'greater', 7, 'has a header'),
    jump('miss'),
    'has a header',
    alu('add', R0, ETHERNET_BYTES + 20),
    jumpIfBy(R0, 'greater', R1, 'miss'),
    'plain',
  ];
}

/** Of a super-frame it is the segments that must fit. */
function checkLength(): Line[] {
  return [
    load(WORD, R0, R7, ROW.limit),
    jumpIfBy(R9, 'greater', R0, 'long'),
    jump('fits'),
    'long',
    load(WORD, R1, R6, GSO_SIZE),
    jumpIf(R1, 'equal', 0, 'miss'),
    load(WORD, R2, FRAME, HEADERS),
    aluBy('add', R1, R2),
    jumpIfBy(R1, 'greater', R0, 'miss'),
    'fits',
  ];
}

/** What is rewritten has time to live; and a client's other station is news for its replies. */
function checkHop(): Line[] {
  return [
    load(WORD, R0, R7, ROW.flags),
    jumpIf(R0, 'equal', 0, 'hit'),
    load(BYTE, R1, FRAME, IP + 8),
    jumpIf(R1, 'greater', 1, 'lives'),
    jump('miss'),
    'lives',
    jumpIf(R0, 'anyBit', STATION, 'station'),
    jump('hit'),
    'station',
    ...loadBytes(6, FROM, 6),
    load(WORD, R0, FRAME, FROM),
    load(WORD, R1, R7, ROW.station),
    jumpIfBy(R0, 'unequal', R1, 'miss'),
    load(HALF, R0, FRAME, FROM + 4),
    load(HALF, R1, R7, ROW.station + 4),
    jumpIfBy(R0, 'unequal', R1, 'miss'),
    'hit',
  ];
}

/** The row in R7 is that of the packet whose headers lie in the stack. */
const checkKey = (): Line[] =>
  [0, 4, 8, 12].flatMap((at) => [
    load(WORD, R0, R7, ROW.key + at),
    load(WORD, R1, FRAME, KEY + at),
    jumpIfBy(R0, 'unequal', R1, 'miss'),
  ]);

/** Leaves this processor's decision in R8; what it was about another frame is over. */
const beginDecision = ({ decision }: CacheMaps): Line[] => [
  set(R0, 0),
  ...lookUpIndex(decision),
  move(R8, R0),
  set(R0, 0),
  store(WORD, R8, DECIDED, R0),
];

/**
 * Copies the row, if it has remained the same one meanwhile: the serial of the copy is that of the
 * row's end before and of both its ends afterwards. That holds where a processor keeps the order of
 * loads and of stores, as x86-64 does; elsewhere a row given away in these nanoseconds might pass.
 */
function decide(): Line[] {
  const words = Array.from({ length: ROW_BYTES / 8 }, (_, index) => index * 8);
  return [
    load(WORD, R3, R7, ROW.serialAgain),
    ...words.flatMap((at) => [load(DOUBLE, R1, R7, at), store(DOUBLE, R8, DECIDED_ROW + at, R1)]),
    load(WORD, R4, R7, ROW.serial),
    load(WORD, R5, R7, ROW.serialAgain),
    move(R7, R8),
    alu('add', R7, DECIDED_ROW),
    load(WORD, R0, R7, ROW.serial),
    ...[R3, R4, R5].map((serial) => jumpIfBy(R0, 'unequal', serial, 'miss')),
    ...checkKey(),
    store(WORD, R8, DECIDED_LENGTH, R9),
    set(R1, 1),
    store(WORD, R8, DECIDED, R1),
  ];
}

/** Goes on with the copy in R7 and the length in R9 if the filter has decided about this frame. */
function takeDecision({ decision }: CacheMaps): Line[] {
  return [
    set(R0, 0),
    ...lookUpIndex(decision),
    move(R7, R0),
    load(WORD, R1, R7, DECIDED),
    jumpIf(R1, 'equal', 0, 'miss'),
    set(R1, 0),
    store(WORD, R7, DECIDED, R1),
    // Whatever else may stand between filter and forwarder on a host: it is this very frame.
    load(WORD, R9, R6, LENGTH),
    load(WORD, R0, R7, DECIDED_LENGTH),
    jumpIfBy(R0, 'unequal', R9, 'miss'),
    alu('add', R7, DECIDED_ROW),
    load(WORD, R0, R7, ROW.fromInterface),
    load(WORD, R1, R6, INTERFACE),
    jumpIfBy(R0, 'unequal', R1, 'miss'),
    ...loadBytes(ETHERNET_BYTES, IP, HEADER_BYTES),
    load(BYTE, R2, FRAME, IP + 9),
    store(WORD, FRAME, PROTOCOL_WORD, R2),
    ...checkKey(),
  ];
}

function count({ seen, sides, pairs }: CacheMaps): Line[] {
  return [
    load(WORD, R0, R7, ROW.side),
    ...lookUpIndex(sides),
    set(R1, 1),
    addAtomically(R0, 8, R1),
    addAtomically(R0, 16, R9),
    load(WORD, R0, R7, ROW.number),
    ...lookUpIndex(seen),
    move(R8, R0),
    call(HELPER.coarseTime),
    alu('right', R0, 20),
    store(WORD, R8, 0, R0),
    load(WORD, R0, R7, ROW.pair),
    ...lookUpIndex(pairs),
    set(R1, 1),
    addAtomically(R0, 0, R1),
    addAtomically(R0, 8, R9),
  ];
}

/** New addresses, ports and time to live; bpf_l4_csum_replace knows of unfinished checksums. */
function rewrite(): Line[] {
  return [
    load(WORD, R0, R7, ROW.flags),
    jumpIf(R0, 'equal', 0, 'rewritten'),
    ...replaceChecksum(ROW.addressDelta, PSEUDO_HEADER),
    ...replaceChecksum(ROW.portDelta, 0),
    load(BYTE, R0, FRAME, IP + 8),
    alu('add', R0, -1),
    store(BYTE, FRAME, IP + 8, R0),
    load(HALF, R0, FRAME, IP + 10),
    alu('xor', R0, 0xffff),
    load(WORD, R1, R7, ROW.headerDelta),
    aluBy('add', R0, R1),
    ...[0, 1].flatMap(() => [
      move(R1, R0),
      alu('right', R1, 16),
      alu('and', R0, 0xffff),
      aluBy('add', R0, R1),
    ]),
    alu('xor', R0, 0xffff),
    store(HALF, FRAME, IP + 10, R0),
    ...[0, 4, 8].flatMap((at) => [
      load(WORD, R0, R7, ROW.addresses + at),
      store(WORD, FRAME, IP + 12 + at, R0),
    ]),
    ...storeBytes(ETHERNET_BYTES, [move(R3, FRAME), alu('add', R3, IP)], 24),
    'rewritten',
  ];
}

/** Mends the checksum of TCP or UDP by a change that the row holds. */
function replaceChecksum(delta: number, flags: number): Line[] {
  const [tcp, ready] = [`tcp ${delta}`, `ready ${delta}`];
  return [
    move(R1, R6),
    load(WORD, R0, FRAME, PROTOCOL_WORD),
    jumpIf(R0, 'equal', TCP, tcp),
    set(R2, ETHERNET_BYTES + 26),
    set(R5, flags | ZERO_STAYS),
    jump(ready),
    tcp,
    set(R2, ETHERNET_BYTES + 36),
    set(R5, flags),
    ready,
    set(R3, 0),
    load(WORD, R4, R7, delta),
    call(HELPER.replaceChecksum),
    jumpIf(R0, 'unequal', 0, 'drop'),
  ];
}

const loadBytes = (offset: number, to: number, bytes: number): Line[] => [
  ...[move(R1, R6), set(R2, offset), move(R3, FRAME), alu('add', R3, to), set(R4, bytes)],
  ...[call(HELPER.loadBytes), jumpIf(R0, 'unequal', 0, 'miss')],
];

const storeBytes = (offset: number, from: readonly Line[], bytes: number): Line[] => [
  ...[move(R1, R6), set(R2, offset), ...from, set(R4, bytes), set(R5, 0)],
  ...[call(HELPER.storeBytes), jumpIf(R0, 'unequal', 0, 'drop')],
];

const lookUp = (map: number, keyAt: number): Line[] => [
  ...[...loadMap(R1, map), move(R2, FRAME), alu('add', R2, keyAt)],
  ...[call(HELPER.lookUp), jumpIfNull(R0, 'miss')],
];

/** In an array, by the number in R0. */
const lookUpIndex = (map: number): Line[] => [store(WORD, FRAME, INDEX, R0), ...lookUp(map, INDEX)];
