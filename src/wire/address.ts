// Addresses as the director holds them and as people write them. An IPv4 address is one int32; a
// MAC address is two numbers, its first four bytes (int32) and its last two (uint16), because one
// number of 48 bits would leave V8's small integers. Text appears at the edges only.

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

/** Whether an address lies in the subnet of `network`, whose host bits are ignored. */
export function inSubnet(address: number, network: number, prefixLength: number): boolean {
  return ((address ^ network) & prefixMask(prefixLength)) === 0;
}
