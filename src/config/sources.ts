// Networks of clients as a configuration file writes them, of either family, as numbers of 128
// bits.
import { parseIpv4, parseIpv6 } from '../wire/address.ts';

/**
 * The first address of a network and its prefix length; IPv4 in ::ffff:0:0/96.
 * @returns undefined if the text is no address and no prefix, or has bits behind the prefix
 */
export function parseSource(text: string): readonly [first: bigint, length: number] | undefined {
  const [address = '', bits, more] = text.split('/');
  if (more !== undefined || (bits !== undefined && !/^(0|[1-9]\d{0,2})$/.test(bits)))
    return undefined;
  const ipv4 = parseIpv4(address);
  const words: readonly number[] | undefined =
    ipv4 === undefined ? parseIpv6(address) : [0, 0, 0xffff, ipv4];
  const before = ipv4 === undefined ? 0 : 96;
  const length = bits === undefined ? 128 : before + Number(bits);
  if (words === undefined || length > 128) return undefined;
  const first = words.reduce<bigint>((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
  return first % (1n << BigInt(128 - length)) === 0n ? [first, length] : undefined;
}
