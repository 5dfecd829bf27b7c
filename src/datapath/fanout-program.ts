// Which worker gets a frame, as classic BPF for PACKET_FANOUT: a client's frames all go to one
// worker, whatever way they take, so that both directions of a flow meet there with its fragments
// and the ICMP errors that speak of it. The client is whoever sends to a VIP, and whoever a frame
// to no VIP is meant for: that is a NAT reply, or an error about a request. An error to a VIP
// quotes a reply, whose receiver is the client. What answers an address of a source pool names no
// client; there the address decides, of which each worker has its own, or else the port. ARP and
// all else go to worker 0.
import type { OwnedSource, Wanted } from './datapath.ts';
import {
  addresses6,
  encodeProgram,
  type Instruction,
  ifAddress6,
  testVips,
} from './socket-filter.ts';

// Linux include/uapi/linux/bpf_common.h; offsets count from the network header here, where the
// socket filter's count from the Ethernet header (net/packet/af_packet.c, fanout_demux_bpf).
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const LOAD_WORD_INDEXED = 0x40;
const LOAD_HALF_INDEXED = 0x48;
const LOAD_BYTE_INDEXED = 0x50;
const LOAD_INDEX = 0x01;
const LOAD_KEPT = 0x60;
const KEEP = 0x02;
const INDEX_HEADER = 0xb1;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_ANY_BIT = 0x45;
const MULTIPLY = 0x24;
const SHIFT_RIGHT = 0x74;
const MODULO = 0x94;
const AND = 0x54;
const SHIFT_LEFT = 0x64;
const ADD = 0x04;
const ADD_INDEX = 0x0c;
const XOR_INDEX = 0xac;
const TO_INDEX = 0x07;
const RETURN = 0x06;
const RETURN_ACCUMULATOR = 0x16;
/** The EtherType, behind any VLAN tag (SKF_AD_PROTOCOL). */
const ETHERTYPE = 0xfffff000;

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const FRAGMENT_AT = 6;
const FRAGMENT_OFFSET = 0x1fff;
const PROTOCOL_AT = 9;
const ICMP = 1;
const SOURCE_AT = 12;
const DESTINATION_AT = 16;
/** The quoted packet lies behind the eight bytes of an ICMP header. */
const QUOTED_DESTINATION_AT = 8 + DESTINATION_AT;

const NEXT_HEADER_AT = 6;
const ICMPV6 = 58;
const ICMPV6_TYPE_AT = 40;
/** The types beyond are queries, and from 133 on those of neighbour discovery (RFC 4861). */
const LAST_ERROR6 = 127;
const LAST_ECHO6 = 132;
const SOURCE6_AT = 8;
const DESTINATION6_AT = 24;
const QUOTED_DESTINATION6_AT = 48 + DESTINATION6_AT;
const UPPER6_AT = 40;
const FRAGMENT6 = 44;
const FRAGMENT6_OFFSET = 0xfff8;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;
/** So many of these and the Fragment header are looked through, one after the other. */
const MOST_EXTENSIONS6 = 3;

/** Fibonacci hashing (Knuth, TAOCP 6.4): neighbouring addresses go to different workers. */
const GOLDEN = 0x9e3779b1;

/** The kernel takes 4,096 instructions (BPF_MAXINSNS); so many may be of VIPs. */
const MOST_FOR_VIPS = 4000;
const PER_VIP = 2;
const PER_VIP6 = 9;
/** What a source pool takes beside its addresses: of both families, by owner and by port. */
const FOR_POOL = 96;

/**
 * The worker of a client, as the program computes it.
 * @param client its address as int32; of IPv6 its four words, folded by XOR
 */
export const workerOfClient = (client: number, workers: number): number =>
  (Math.imul(client, GOLDEN) >>> 16) % workers;

/**
 * The worker of an address of a source pool, by its place among the pool's of its family; undefined
 * where these are too few and the port decides. The director's source-pool.ts takes addresses and
 * ports by the same rule.
 */
export const workerOfSource = (
  index: number,
  count: number,
  workers: number,
): number | undefined => (count < workers ? undefined : index % workers);

/**
 * True if frames to so many VIPs can be shared out.
 * @param masked how many of IPv6 are prefixes that end within a word
 * @param sources of a source pool, whose addresses are asked for twice
 */
export const canShare = (
  vips: number,
  vips6: number,
  masked = 0,
  sources: readonly [of4: number, of6: number] = [0, 0],
): boolean => {
  const [of4, of6] = sources;
  const forPool = of4 + of6 === 0 ? 0 : FOR_POOL;
  const all = (vips + 2 * of4) * PER_VIP + (vips6 + 2 * of6) * PER_VIP6;
  return all + masked + forPool <= MOST_FOR_VIPS;
};

const NONE = new Int32Array(0);

/** The program, ready for PACKET_FANOUT_DATA. */
export function buildFanoutProgram(
  wanted: Omit<Wanted, 'reals' | 'reals6'>,
  workers: number,
): Uint8Array<ArrayBuffer> {
  const toWorker: readonly Instruction[] = [
    [MULTIPLY, 0, 0, GOLDEN],
    [SHIFT_RIGHT, 0, 0, 16],
    [MODULO, 0, 0, workers],
    [RETURN_ACCUMULATOR, 0, 0, 0],
  ];
  const { clientPrefixLength = 32, clientPrefixLength6 = 128 } = wanted;
  const [of4, of6] = ownedSources(wanted, workers);
  const ofIpv4 = [
    ...poolOwner(of4, workers),
    ...ipv4Client(wanted),
    ...maskTo(clientPrefixLength),
    ...toWorker,
  ];
  return encodeProgram([
    [LOAD_HALF, 0, 0, ETHERTYPE],
    [JUMP_EQUAL, 3, 0, IPV4],
    [JUMP_EQUAL, 1, 0, IPV6],
    [RETURN, 0, 0, 0],
    [JUMP, 0, 0, ofIpv4.length],
    ...ofIpv4,
    ...poolOwner6(of6, workers),
    ...ipv6Client(wanted, clientPrefixLength6),
    ...toWorker,
  ]);
}

/** Keeps so many leading bits of an address, or of a word of one. */
function maskTo(bits: number): Instruction[] {
  if (bits >= 32) return [];
  return [[AND, 0, 0, bits <= 0 ? 0 : (-1 << (32 - bits)) >>> 0]];
}

type Owned = readonly OwnedSource[];

/**
 * All sources of IPv4 and all of IPv6. Who has what of a pool follows from the pool alone, as for
 * those who take from it; what left it stays with whom it had then.
 */
function ownedSources(
  { pool = NONE, pool6 = NONE, retired = [] }: Pick<Wanted, 'pool' | 'pool6' | 'retired'>,
  workers: number,
): readonly [of4: Owned, of6: Owned] {
  const owned = (words: Int32Array, index: number, { length }: { length: number }) => ({
    words,
    worker: workerOfSource(index, length, workers),
  });
  const live = Array.from(pool, (address) => Int32Array.of(address)).map(owned);
  return [
    [...live, ...retired.filter(({ words }) => words.length === 1)],
    [...addresses6(pool6).map(owned), ...retired.filter(({ words }) => words.length === 4)],
  ];
}

const byPort = (sources: Owned): Int32Array[] =>
  sources.flatMap(({ words, worker }) => (worker === undefined ? [words] : []));

/**
 * Decides of a packet to an address of a pool; of any other the next instruction does. Where there
 * are enough addresses each is one worker's, to which even fragments without a port find.
 */
function poolOwner(sources: Owned, workers: number): Instruction[] {
  const tests = sources.flatMap(({ words, worker }): Instruction[] =>
    worker === undefined
      ? []
      : [
          [JUMP_EQUAL, 0, 1, (words[0] as number) >>> 0],
          [RETURN, 0, 0, worker],
        ],
  );
  if (sources.length === 0) return [];
  return [[LOAD_WORD, 0, 0, DESTINATION_AT], ...tests, ...poolPort(byPort(sources), workers)];
}

/**
 * The same by the port, of which each worker has those that leave its number over. The accumulator
 * has the address.
 */
function poolPort(pool: readonly Int32Array[], workers: number): Instruction[] {
  if (pool.length === 0) return [];
  const toPool: readonly Instruction[] = [
    [LOAD_HALF, 0, 0, FRAGMENT_AT],
    [JUMP_ANY_BIT, 17, 0, FRAGMENT_OFFSET],
    [INDEX_HEADER, 0, 0, 0],
    [LOAD_BYTE, 0, 0, PROTOCOL_AT],
    [JUMP_EQUAL, 0, 11, ICMP],
    [LOAD_BYTE_INDEXED, 0, 0, 0],
    [JUMP_EQUAL, 2, 0, 3],
    [JUMP_EQUAL, 1, 0, 11],
    [JUMP_EQUAL, 0, 10, 12],
    // An error: the length of the quoted header, then the port that the quoted packet came from.
    [LOAD_BYTE_INDEXED, 0, 0, 8],
    [AND, 0, 0, 0x0f],
    [SHIFT_LEFT, 0, 0, 2],
    [ADD_INDEX, 0, 0, 0],
    [TO_INDEX, 0, 0, 0],
    [LOAD_HALF_INDEXED, 0, 0, 8],
    [JUMP, 0, 0, 1],
    [LOAD_HALF_INDEXED, 0, 0, 2],
    [MODULO, 0, 0, workers],
    [RETURN_ACCUMULATOR, 0, 0, 0],
    [RETURN, 0, 0, 0],
  ];
  const tests = pool.flatMap((words, index): Instruction[] => [
    [JUMP_EQUAL, 0, 1, (words[0] as number) >>> 0],
    [JUMP, 0, 0, (pool.length - 1 - index) * 2 + 1],
  ]);
  return [...tests, [JUMP, 0, 0, toPool.length], ...toPool];
}

/** poolOwner for IPv6, where the messages of neighbours go to worker 0. */
function poolOwner6(sources: Owned, workers: number): Instruction[] {
  const ported = poolPort6(byPort(sources), workers);
  if (sources.every(({ worker }) => worker === undefined)) return ported;
  return [
    [LOAD_BYTE, 0, 0, NEXT_HEADER_AT],
    [JUMP_EQUAL, 0, 3, ICMPV6],
    [LOAD_BYTE, 0, 0, ICMPV6_TYPE_AT],
    [JUMP_GREATER, 0, 1, LAST_ECHO6],
    [RETURN, 0, 0, 0],
    ...sources.flatMap(({ words, worker }) =>
      worker === undefined ? [] : ifAddress6(DESTINATION6_AT, words, 128, [[RETURN, 0, 0, worker]]),
    ),
    ...ported,
  ];
}

/** poolPort for IPv6. The index is how far the headers reach that are looked through. */
function poolPort6(pool: readonly Int32Array[], workers: number): Instruction[] {
  if (pool.length === 0) return [];
  const toPool: readonly Instruction[] = [
    [LOAD_INDEX, 0, 0, 0],
    [LOAD_BYTE, 0, 0, NEXT_HEADER_AT],
    ...Array.from({ length: MOST_EXTENSIONS6 }, () => PAST_EXTENSION).flat(),
    [JUMP_EQUAL, 0, 8, ICMPV6],
    [LOAD_BYTE_INDEXED, 0, 0, UPPER6_AT],
    [JUMP_GREATER, 9, 0, LAST_ERROR6],
    // An error: the port that the quoted packet came from, of a first fragment behind its header.
    [LOAD_BYTE_INDEXED, 0, 0, UPPER6_AT + 8 + NEXT_HEADER_AT],
    [JUMP_EQUAL, 0, 2, FRAGMENT6],
    [LOAD_HALF_INDEXED, 0, 0, UPPER6_AT + 8 + UPPER6_AT + 8],
    [JUMP, 0, 0, 3],
    [LOAD_HALF_INDEXED, 0, 0, UPPER6_AT + 8 + UPPER6_AT],
    [JUMP, 0, 0, 1],
    [LOAD_HALF_INDEXED, 0, 0, UPPER6_AT + 2],
    [MODULO, 0, 0, workers],
    [RETURN_ACCUMULATOR, 0, 0, 0],
    [RETURN, 0, 0, 0],
  ];
  const tests = pool.flatMap((address, index) => {
    const further = (pool.length - 1 - index) * PER_VIP6 + 1;
    return ifAddress6(DESTINATION6_AT, address, 128, [[JUMP, 0, 0, further]]);
  });
  return [...tests, [JUMP, 0, 0, toPool.length], ...toPool];
}

/** If the accumulator has the number of an extension header: goes on to what follows that one. */
const PAST_EXTENSION: readonly Instruction[] = [
  [JUMP_EQUAL, 3, 0, FRAGMENT6],
  [JUMP_EQUAL, 5, 0, HOP_BY_HOP],
  [JUMP_EQUAL, 4, 0, ROUTING],
  [JUMP_EQUAL, 3, 11, DESTINATION_OPTIONS],
  [LOAD_HALF_INDEXED, 0, 0, UPPER6_AT + 2],
  [JUMP_ANY_BIT, 0, 1, FRAGMENT6_OFFSET],
  [RETURN, 0, 0, 0],
  [LOAD_BYTE_INDEXED, 0, 0, UPPER6_AT],
  [KEEP, 0, 0, 0],
  [LOAD_BYTE_INDEXED, 0, 0, UPPER6_AT + 1],
  [ADD, 0, 0, 1],
  [SHIFT_LEFT, 0, 0, 3],
  [ADD_INDEX, 0, 0, 0],
  [TO_INDEX, 0, 0, 0],
  [LOAD_KEPT, 0, 0, 0],
];

/** Loads the client of an IPv4 packet. How far to jump is counted from the next instruction. */
function ipv4Client(wanted: Pick<Wanted, 'vips' | 'vipPrefixLengths'>): Instruction[] {
  const tests: readonly Instruction[] = [
    ...testVips(wanted, DESTINATION_AT, [JUMP, 0, 0, 0]),
    // The tests of prefixes mask it.
    [LOAD_WORD, 0, 0, DESTINATION_AT],
  ];
  return [
    ...tests.map(
      (test, at): Instruction => (test[0] === JUMP ? [JUMP, 0, 0, tests.length - at] : test),
    ),
    [JUMP, 0, 0, FROM_CLIENT.length],
    ...FROM_CLIENT,
  ];
}

/** Loads the client of an IPv4 packet to a VIP. */
const FROM_CLIENT: readonly Instruction[] = [
  [LOAD_BYTE, 0, 0, PROTOCOL_AT],
  [JUMP_EQUAL, 0, 9, ICMP],
  [LOAD_HALF, 0, 0, FRAGMENT_AT],
  [JUMP_ANY_BIT, 7, 0, FRAGMENT_OFFSET],
  [INDEX_HEADER, 0, 0, 0],
  [LOAD_BYTE_INDEXED, 0, 0, 0],
  [JUMP_EQUAL, 2, 0, 3],
  [JUMP_EQUAL, 1, 0, 11],
  [JUMP_EQUAL, 0, 2, 12],
  [LOAD_WORD_INDEXED, 0, 0, QUOTED_DESTINATION_AT],
  [JUMP, 0, 0, 1],
  [LOAD_WORD, 0, 0, SOURCE_AT],
];

/** The same for IPv6, where the answers of neighbours and routers go to worker 0. */
function ipv6Client(
  { vips6 = NONE, vipPrefixLengths6 }: Pick<Wanted, 'vips6' | 'vipPrefixLengths6'>,
  prefixLength: number,
): Instruction[] {
  const foldAddress = (at: number) => foldMasked(at, prefixLength);
  const byDestination = foldAddress(DESTINATION6_AT);
  const toClient: Instruction = [JUMP, 0, 0, 0];
  const tests = addresses6(vips6).flatMap((vip, index) =>
    ifAddress6(DESTINATION6_AT, vip, vipPrefixLengths6?.[index], [toClient]),
  );
  const byVip = tests.map(
    (test, at): Instruction =>
      test === toClient ? [JUMP, 0, 0, tests.length - at + byDestination.length] : test,
  );
  const [bySource, byQuote] = [foldAddress(SOURCE6_AT), foldAddress(QUOTED_DESTINATION6_AT)];
  const fromClient: Instruction[] = [
    [LOAD_BYTE, 0, 0, NEXT_HEADER_AT],
    [JUMP_EQUAL, 0, 2 + byQuote.length + 1, ICMPV6],
    [LOAD_BYTE, 0, 0, ICMPV6_TYPE_AT],
    [JUMP_GREATER, byQuote.length + 1, 0, LAST_ERROR6],
    ...byQuote,
    [JUMP, 0, 0, bySource.length],
    ...bySource,
  ];
  return [
    [LOAD_BYTE, 0, 0, NEXT_HEADER_AT],
    [JUMP_EQUAL, 0, 3, ICMPV6],
    [LOAD_BYTE, 0, 0, ICMPV6_TYPE_AT],
    [JUMP_GREATER, 0, 1, LAST_ECHO6],
    [RETURN, 0, 0, 0],
    ...byVip,
    ...byDestination,
    [JUMP, 0, 0, fromClient.length],
    ...fromClient,
  ];
}

/** The XOR of an address's four words, so far as its leading bits count. */
const foldMasked = (at: number, prefixLength: number): Instruction[] => [
  [LOAD_WORD, 0, 0, at],
  ...maskTo(prefixLength),
  ...[1, 2, 3].flatMap((word): Instruction[] => [
    [TO_INDEX, 0, 0, 0],
    [LOAD_WORD, 0, 0, at + word * 4],
    ...maskTo(prefixLength - word * 32),
    [XOR_INDEX, 0, 0, 0],
  ]),
];
