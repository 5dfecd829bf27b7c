// What an address and a VIP may be in a configuration file: the address of one host, or a prefix
// written as the network that it is. Families may stand side by side in a file.
import * as z from 'zod';
import { formatIpv6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import { isIpv6Text } from './endpoint.ts';
import {
  formatPrefix,
  formatPrefix6,
  parsePrefix,
  parsePrefix6,
  prefixAround,
  prefixAround6,
  SHORTEST_PREFIX,
  SHORTEST_PREFIX6,
} from './listening.ts';

const ADDRESS_ALLOWED = 'an IPv4 or IPv6 address, such as 192.0.2.10 or 2001:db8::10';
const HOST_ALLOWED =
  'the address of one host, outside 0.0.0.0/8, 127.0.0.0/8 (loopback), 224.0.0.0/4 (multicast) ' +
  'and 240.0.0.0/4 (broadcast, reserved)';
const HOST6_ALLOWED =
  'the address of one host that is good on every link: none of :: (unspecified), ::1 (loopback), ' +
  '::ffff:0:0/96 (IPv4-mapped; write the IPv4 address), fe80::/10 (link-local) and ff00::/8 ' +
  '(multicast)';

/** False for what no host on a link can have (RFC 6890, section 2.2.2). */
export function isHostAddress(address: string): boolean {
  const first = Number(address.split('.')[0]);
  return isIpv6Text(address) || (first !== 0 && first !== 127 && first < 224);
}

/** False for what no packet of another link can name (RFC 6890, section 2.2.3; RFC 4291). */
function isHostAddress6(address: string): boolean {
  const [first, second, third, fourth] = parseIpv6(address) ?? [1, 0, 0, 0];
  const isLow = first === 0 && second === 0;
  if (isLow && third === 0 && (fourth === 0 || fourth === 1)) return false;
  if (isLow && third === 0xffff) return false;
  return first >>> 22 !== 0xfe80 >>> 6 && first >>> 24 !== 0xff;
}

/** The one way of writing an address: that of RFC 5952. */
function canonical(text: string): string {
  const address = parseIpv6(text);
  return address === undefined ? text : formatIpv6(address);
}

/** Without a description: each key that is an address gives its own. */
export const addressSchema = z
  .string(ADDRESS_ALLOWED)
  .regex(/^[0-9A-Fa-f.:]+$/, { error: ADDRESS_ALLOWED, abort: true })
  .refine((text) => (parseIpv4(text) ?? parseIpv6(text)) !== undefined, {
    error: ADDRESS_ALLOWED,
    abort: true,
  })
  .refine(isHostAddress, HOST_ALLOWED)
  .refine(isHostAddress6, HOST6_ALLOWED)
  .meta({ anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] })
  .overwrite(canonical);

const PREFIX_ALLOWED = `the network of the prefix, of ${SHORTEST_PREFIX} bits or more`;
const prefixSchema = z
  .string()
  .regex(/^[\d.]+\/\d+$/, { abort: true })
  .refine((text) => parsePrefix(text) !== undefined, { abort: true })
  .refine(isHostAddress, { error: HOST_ALLOWED, abort: true })
  .refine(isNetwork, { error: ({ input }) => networkAllowed(String(input)) });

const prefix6Schema = z
  .string()
  .regex(/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\/\d+$/, { abort: true })
  .refine((text) => parsePrefix6(text) !== undefined, { abort: true })
  .refine((text) => isHostAddress6(text.split('/')[0] ?? ''), { error: HOST6_ALLOWED, abort: true })
  .refine(isNetwork6, { error: ({ input }) => networkAllowed6(String(input)) });

const PREFIX_EXAMPLES = '192.0.2.0/28 or 2001:db8:1::/64';
export const VIP_ALLOWED = `${ADDRESS_ALLOWED}, or a prefix, such as ${PREFIX_EXAMPLES}`;
export const vipSchema = z.union([addressSchema, prefixSchema, prefix6Schema], VIP_ALLOWED);
/** True if no bit of the address lies behind the prefix. */
function isNetwork(text: string): boolean {
  const prefix = parsePrefix(text);
  if (prefix === undefined || prefix.prefixLength < SHORTEST_PREFIX) return false;
  return prefixAround(prefix.address, prefix.prefixLength).address === prefix.address;
}

function networkAllowed(text: string): string {
  const { address = 0, prefixLength = 0 } = parsePrefix(text) ?? {};
  if (prefixLength < SHORTEST_PREFIX) return PREFIX_ALLOWED;
  return `${formatPrefix(prefixAround(address, prefixLength))}, the network of that prefix`;
}

function isNetwork6(text: string): boolean {
  const prefix = parsePrefix6(text);
  if (prefix === undefined || prefix.prefixLength < SHORTEST_PREFIX6) return false;
  return formatPrefix6(prefixAround6(prefix, prefix.prefixLength)) === formatPrefix6(prefix);
}

function networkAllowed6(text: string): string {
  const prefix = parsePrefix6(text);
  if (prefix === undefined || prefix.prefixLength < SHORTEST_PREFIX6) {
    return `the network of the prefix, of ${SHORTEST_PREFIX6} bits or more with IPv6`;
  }
  return `${formatPrefix6(prefixAround6(prefix, prefix.prefixLength))}, the network of that prefix`;
}
