// Offsets for show-v8.mjs, which reads them from another module.
export const SOURCE = 28;
export const DESTINATION = 32;
export const PORTS = 36;
export const PROTOCOL = 25;
export const MAC_LOW = 2;
export const MAC_HIGH = 4;
export const MASK = 0xffff;
