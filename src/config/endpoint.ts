// Addresses with ports as people write them: an IPv6 address stands in brackets before its port
// (RFC 3986, 3.2.2).

export const isIpv6Text = (address: string): boolean => address.includes(':');

/** `192.0.2.10:80`, `[2001:db8::10]:80`; the address alone where port 0 stands for any. */
export function formatEndpoint(address: string, port: number): string {
  if (port === 0) return address;
  return isIpv6Text(address) ? `[${address}]:${port}` : `${address}:${port}`;
}
