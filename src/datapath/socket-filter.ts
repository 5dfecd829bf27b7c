// The socket filter of a ring's lane, as classic BPF (CAP_NET_RAW is enough for it): only ARP, NDP,
// frames to a VIP and frames from a NAT real come in, and of these only the sizes that the lane is
// made for. A VLAN tag makes no difference, unless another interface of the host takes it off.
// Ports are not looked at, so fragments come in like all others. Where there are NAT
// reals, so do ICMP errors from anybody to anybody: a router behind the director that speaks of a
// request names neither a VIP nor, as its sender, a real. The filter runs in the kernel, before the
// copy. Encoding: Linux include/uapi/linux/filter.h and bpf_common.h.
import { prefixMask, wordMask } from '../wire/address.ts';
import type { Wanted } from './datapath.ts';

/** One instruction is 8 bytes: code, jump if true, jump if false, operand. */
const INSTRUCTION_BYTES = 8;
const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
/** The index becomes four times the low half of a byte: the length of an IPv4 header. */
const INDEX_HEADER = 0xb1;
const LOAD_BYTE_INDEXED = 0x50;
const LOAD_LENGTH = 0x80;
const JUMP = 0x05;
const AND = 0x54;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_ANY_BIT = 0x45;
const MASK = 0x54;
const RETURN = 0x06;

/** Offsets that mean "about the packet", not "in the packet" (SKF_AD_OFF). */
const PACKET_TYPE = 0xfffff000 + 4;
const VLAN_TAG = 0xfffff000 + 44;
const VLAN_TAG_PRESENT = 0xfffff000 + 48;
const VLAN_ID = 0xfff;

const OTHER_HOST = 3;
const ETHERTYPE_AT = 12;
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const L3 = 14;
const FRAGMENT_AT = 20;
const FRAGMENT_OFFSET = 0x1fff;
const PROTOCOL_AT = 23;
const ICMP = 1;
/** Destination unreachable, time exceeded, parameter problem. */
const ICMP_ERRORS = [3, 11, 12];
const SOURCE_AT = 26;
const DESTINATION_AT = 30;
const NEXT_HEADER_AT = 20;
const SOURCE6_AT = 22;
const DESTINATION6_AT = 38;
const ICMPV6_TYPE_AT = 54;
const ICMPV6 = 58;
/** Destination unreachable, packet too big, time exceeded, parameter problem. */
const ICMPV6_ERRORS = [1, 2, 3, 4];
/** Neighbour solicitation and advertisement (RFC 4861). */
const NDP = [135, 136];
const WHOLE_FRAME = 0x40000;

/** The kernel takes 4,096 instructions (BPF_MAXINSNS); so many may be of addresses and VLANs. */
const MOST_FOR_ADDRESSES = 4000;
const PER_VLAN = 2;
const PER_ADDRESS = 2;
const PER_LENGTH = 2;
const PER_ADDRESS6 = 9;

export type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

const ACCEPT: Instruction = [RETURN, 0, 0, WHOLE_FRAME];
const REJECT: Instruction = [RETURN, 0, 0, 0];

/** Lets nothing in: for a lane whose time has not come. */
export const rejectAll = (): Uint8Array<ArrayBuffer> => encodeProgram([REJECT]);

/** Goes on to the next instruction but one unless equal; so `ifEqual` stands between. */
const ifEqual = (operand: number, then: Instruction): Instruction[] => [
  [JUMP_EQUAL, 0, 1, operand >>> 0],
  then,
];

export interface FilterOptions {
  /** Undefined: every IPv4 and IPv6 frame to this host. */
  readonly wanted: Wanted | undefined;
  /** Frames of up to so many bytes, or all beyond. */
  readonly limitBytes: number;
  readonly beyondLimit: boolean;
  /** VLANs whose frames are another interface's. */
  readonly vlans?: readonly number[] | undefined;
}

/** The program, ready for SO_ATTACH_FILTER. */
export const buildSocketFilter = (options: FilterOptions): Uint8Array<ArrayBuffer> =>
  encodeProgram(filterProgram(options));

/** So many instructions at its beginning look at nothing but the frame's length. */
export const LENGTH_TEST = 3;

/**
 * The program. With more addresses than one can hold, every IP frame to this host comes in, and the
 * director sorts them out.
 */
export function filterProgram(options: FilterOptions): Instruction[] {
  const { wanted, limitBytes, beyondLimit, vlans = [] } = options;
  return [
    [LOAD_LENGTH, 0, 0, 0],
    [JUMP_GREATER, beyondLimit ? 1 : 0, beyondLimit ? 0 : 1, limitBytes],
    REJECT,
    [LOAD_WORD, 0, 0, PACKET_TYPE],
    ...ifEqual(OTHER_HOST, REJECT),
    ...othersVlans(vlans),
    [LOAD_HALF, 0, 0, ETHERTYPE_AT],
    ...ifEqual(ARP, ACCEPT),
    ...(wanted !== undefined && fits(wanted, vlans.length)
      ? [...wantedOfIpv6(wanted), ...wantedOfIpv4(wanted)]
      : [...ifEqual(IPV6, ACCEPT), ...ifEqual(IPV4, ACCEPT), REJECT]),
  ];
}

/** Frames that the host has an interface of its own for: that one will see them too. */
function othersVlans(vlans: readonly number[]): Instruction[] {
  if (vlans.length === 0) return [];
  const ofOthers = vlans.flatMap((vlan) => ifEqual(vlan, REJECT));
  return [
    [LOAD_WORD, 0, 0, VLAN_TAG_PRESENT],
    [JUMP_EQUAL, 1, 0, 1],
    [JUMP, 0, 0, ofOthers.length + 2],
    [LOAD_WORD, 0, 0, VLAN_TAG],
    [AND, 0, 0, VLAN_ID],
    ...ofOthers,
  ];
}

const NONE = new Int32Array(0);

function fits(wanted: Wanted, vlans: number): boolean {
  const { vips, vipPrefixLengths, reals } = wanted;
  const { vips6 = NONE, reals6 = NONE, vipPrefixLengths6 } = wanted;
  const instructions =
    vlans * PER_VLAN +
    (vips.length + reals.length) * PER_ADDRESS +
    new Set(vipPrefixLengths).size * PER_LENGTH +
    ((vips6.length + reals6.length) / 4) * PER_ADDRESS6 +
    (vipPrefixLengths6?.filter((length) => (length & 31) !== 0).length ?? 0);
  return instructions <= MOST_FOR_ADDRESSES;
}

/** What decides of an IPv6 frame; another goes on behind it. Conditional jumps are too short. */
function wantedOfIpv6({ vips6 = NONE, reals6 = NONE, vipPrefixLengths6 }: Wanted): Instruction[] {
  if (vips6.length + reals6.length === 0) return [];
  const types = reals6.length > 0 ? [...NDP, ...ICMPV6_ERRORS] : NDP;
  const ofIpv6: Instruction[] = [
    ...addresses6(vips6).flatMap((vip, index) =>
      ifAddress6(DESTINATION6_AT, vip, vipPrefixLengths6?.[index], [ACCEPT]),
    ),
    ...addresses6(reals6).flatMap((real) => ifAddress6(SOURCE6_AT, real, 128, [ACCEPT])),
    [LOAD_BYTE, 0, 0, NEXT_HEADER_AT],
    [JUMP_EQUAL, 1, 0, ICMPV6],
    REJECT,
    [LOAD_BYTE, 0, 0, ICMPV6_TYPE_AT],
    ...types.flatMap((type) => ifEqual(type, ACCEPT)),
    REJECT,
  ];
  return [[JUMP_EQUAL, 1, 0, IPV6], [JUMP, 0, 0, ofIpv6.length], ...ofIpv6];
}

export const addresses6 = (words: Int32Array): Int32Array[] =>
  Array.from({ length: words.length / 4 }, (_, index) => words.subarray(index * 4, index * 4 + 4));

/** Does `then` with a frame whose address begins with these bits, of which the last differ most. */
export function ifAddress6(
  at: number,
  words: Int32Array,
  prefixLength: number | undefined,
  then: readonly Instruction[],
): Instruction[] {
  const tests = [3, 2, 1, 0].flatMap((word): Instruction[] => {
    const mask = wordMask(prefixLength ?? 128, word);
    if (mask === 0) return [];
    return [
      [LOAD_WORD, 0, 0, at + word * 4],
      ...(mask === -1 ? [] : [[MASK, 0, 0, mask >>> 0] as const]),
      [JUMP_EQUAL, 0, 0, (words[word] as number) >>> 0],
    ];
  });
  const pastAll = (index: number) => tests.length - 1 - index + then.length;
  const jumping = tests.map(
    (test, index): Instruction =>
      test[0] === JUMP_EQUAL ? [JUMP_EQUAL, 0, pastAll(index), test[3]] : test,
  );
  return [...jumping, ...then];
}

function wantedOfIpv4(wanted: Wanted): Instruction[] {
  const { reals } = wanted;
  return [
    [JUMP_EQUAL, 1, 0, IPV4],
    REJECT,
    ...testVips(wanted, DESTINATION_AT, ACCEPT),
    [LOAD_WORD, 0, 0, SOURCE_AT],
    ...[...reals].flatMap((real) => ifEqual(real, ACCEPT)),
    ...(reals.length > 0 ? icmpErrors() : []),
    REJECT,
  ];
}

/**
 * Does `then` with a frame to a VIP: single addresses first, then those of each prefix length, for
 * which the destination is masked.
 */
export function testVips(
  { vips, vipPrefixLengths }: Pick<Wanted, 'vips' | 'vipPrefixLengths'>,
  destinationAt: number,
  then: Instruction,
): Instruction[] {
  const lengths = new Set([32, ...(vipPrefixLengths ?? [])]);
  return [...lengths].flatMap((length): Instruction[] => {
    const own = vips.filter((_, index) => (vipPrefixLengths?.[index] ?? 32) === length);
    return [
      [LOAD_WORD, 0, 0, destinationAt],
      ...(length === 32 ? [] : [[MASK, 0, 0, prefixMask(length) >>> 0] as const]),
      ...[...own].flatMap((vip) => ifEqual(vip, then)),
    ];
  });
}

/** The type is the first byte behind the IPv4 header, of a fragment only the first one's. */
function icmpErrors(): Instruction[] {
  return [
    [LOAD_BYTE, 0, 0, PROTOCOL_AT],
    [JUMP_EQUAL, 1, 0, ICMP],
    REJECT,
    [LOAD_HALF, 0, 0, FRAGMENT_AT],
    [JUMP_ANY_BIT, 0, 1, FRAGMENT_OFFSET],
    REJECT,
    [INDEX_HEADER, 0, 0, L3],
    [LOAD_BYTE_INDEXED, 0, 0, L3],
    ...ICMP_ERRORS.flatMap((type) => ifEqual(type, ACCEPT)),
  ];
}

/** As the kernel takes it: struct sock_filter, one after the other. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  for (const [index, [code, ifTrue, ifFalse, operand]] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, ifTrue);
    view.setUint8(at + 3, ifFalse);
    view.setUint32(at + 4, operand, true);
  }
  return new Uint8Array(view.buffer);
}
