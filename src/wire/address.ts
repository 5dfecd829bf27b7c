// Addresses as the director holds them and as people write them. An IPv4 address is one int32, an
// IPv6 address four of them; a MAC address is two numbers, its first four bytes (int32) and its
// last two (uint16), because one number of 48 bits would leave V8's small integers. Text appears at
// the edges only.

/** An IPv6 address: four int32 words, the first one first on the wire. */
export type Ipv6 = readonly [number, number, number, number];

/** A MAC address in two numbers. */
export interface Mac {
  /** First four bytes, int32. */
  readonly high: number;
  /** Last two bytes, uint16. */
  readonly low: number;
}

const OCTET = /^(?:0|[1-9]\d{0,2})$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;

/**
 * Reads a dotted quad. Leading zeros are refused, because some programs read them as octal.
 * @returns the address as int32, or undefined if the text is none
 */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    const octet = OCTET.test(part) ? Number(part) : 256;
    if (octet > 255) return undefined;
    address = (address << 8) | octet;
  }
  return address;
}

/** Writes an int32 address as a dotted quad. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

const GROUP = /^[0-9a-f]{1,4}$/i;

/** The 16-bit groups of a text without `::`; a dotted quad at the end of all stands for two. */
function parseGroups(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const quad = isEnd && index === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad !== undefined) groups.push(quad >>> 16, quad & 0xffff);
    else if (GROUP.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/**
 * Reads the text forms of RFC 4291, 2.2: `2001:db8::1`, `::ffff:192.0.2.1`. No zone, no prefix.
 * @returns undefined if the text is no IPv6 address
 */
export function parseIpv6(text: string): Ipv6 | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [first = '', last] = halves;
  const head = parseGroups(first, last === undefined);
  const tail = last === undefined ? [] : parseGroups(last, true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (last === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (at: number) => ((groups[at] as number) << 16) | (groups[at + 1] as number);
  return [word(0), word(2), word(4), word(6)];
}

/** Writes an IPv6 address as RFC 5952 wants it: lower case, the longest run of zeros as `::`. */
export function formatIpv6(address: Ipv6): string {
  const [first, second, third, fourth] = address;
  if (first === 0 && second === 0 && third === 0xffff) return `::ffff:${formatIpv4(fourth)}`;
  const groups = address.flatMap((word) => [word >>> 16, word & 0xffff]);
  let [runAt, runLength] = [0, 1];
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === 0) length++;
    if (length > runLength) [runAt, runLength] = [at, length];
  }
  const write = (from: number, to?: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return runLength < 2 ? write(0) : `${write(0, runAt)}::${write(runAt + runLength)}`;
}

/**
 * Reads six pairs of hexadecimal digits with colons between them.
 * @returns undefined if the text is no MAC address
 */
export function parseMac(text: string): Mac | undefined {
  if (!MAC.test(text)) return undefined;
  const digits = text.replaceAll(':', '');
  return {
    high: Number.parseInt(digits.slice(0, 8), 16) | 0,
    low: Number.parseInt(digits.slice(8), 16),
  };
}

/** Writes a MAC address in lower case with colons. */
export function formatMac(high: number, low: number): string {
  const digits =
    (high >>> 0).toString(16).padStart(8, '0') + (low & 0xffff).toString(16).padStart(4, '0');
  return digits.replace(/..(?!$)/g, '$&:');
}

/** The netmask of a prefix of 0 to 32 bits, int32. */
export function prefixMask(length: number): number {
  // A shift by 32 is a shift by 0 in JavaScript, so the empty prefix is a case of its own.
  return length === 0 ? 0 : -1 << (32 - length);
}

/** The same for one word, 0 to 3, of an IPv6 address, whose prefix has 0 to 128 bits. */
export const wordMask = (length: number, word: number): number =>
  prefixMask(Math.min(32, Math.max(0, length - word * 32)));

/** Whether an address lies in the subnet of `network`, whose host bits are ignored. */
export function inSubnet(address: number, network: number, prefixLength: number): boolean {
  return ((address ^ network) & prefixMask(prefixLength)) === 0;
}

/**
 * Whether an IPv6 address lies in the subnet of `network`, whose host bits are ignored.
 * @param at index of the address's first word, if it lies among others
 */
export function inSubnet6(
  address: ArrayLike<number>,
  network: Ipv6,
  prefixLength: number,
  at = 0,
): boolean {
  for (let word = 0; word < 4; word++) {
    const difference = (address[at + word] as number) ^ (network[word] as number);
    if ((difference & wordMask(prefixLength, word)) !== 0) return false;
  }
  return true;
}
