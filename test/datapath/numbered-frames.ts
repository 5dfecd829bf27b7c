// Frames for the datapath's tests: each carries a number, so that order can be seen, and bytes at
// random, so that a single wrong one can be. The same seed gives the same frames.
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import { ARM_MACS, FAR_MACS, VIP } from './station.ts';

const UDP_PAYLOAD_AT = 42;
const TCP_PAYLOAD_AT = 54;
const PROTOCOL_AT = 23;
const TCP = 6;

export interface FrameOptions {
  readonly arm: number;
  readonly number: number;
  /** Length of the whole frame, 60 or more. */
  readonly bytes: number;
  /** The VIP unless given. */
  readonly destination?: string;
  /** A client on the arm's wire unless given. */
  readonly source?: string;
  /** The arm's unless given. */
  readonly destinationMac?: string;
}

/** Numbers from 0 up to but without `limit`, always the same ones for a seed (xorshift32). */
export function createRandom(seed: number): (limit: number) => number {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** A UDP frame to an arm. */
export function numberedFrame(options: FrameOptions): Uint8Array {
  const { number, bytes } = options;
  const payload = payloadOf(number, bytes - UDP_PAYLOAD_AT);
  return udpFrame({ ...fieldsOf(options), sourcePort: 1024, destinationPort: 80, payload });
}

/** A TCP frame of up to 64 KiB as segmentation offload makes them: its checksum is left partial. */
export function superFrame(options: FrameOptions): Uint8Array {
  const { number, bytes } = options;
  const payload = payloadOf(number, bytes - TCP_PAYLOAD_AT);
  const ports = { sourcePort: 1024, destinationPort: 80 };
  return tcpFrame({ ...fieldsOf(options), ...ports, payload, partialChecksum: true });
}

function fieldsOf({ arm, destination, source, destinationMac }: FrameOptions) {
  return {
    sourceMac: FAR_MACS[arm]!,
    destinationMac: destinationMac ?? ARM_MACS[arm]!,
    source: source ?? clientOf(arm),
    destination: destination ?? VIP,
  };
}

/** The client on an arm's wire. */
export const clientOf = (arm: number): string => `10.8.${arm}.1`;

function payloadOf(number: number, bytes: number): Uint8Array {
  const random = createRandom(number + 1);
  const payload = Uint8Array.from({ length: bytes }, () => random(256));
  new DataView(payload.buffer).setUint32(0, number);
  return payload;
}

/** The number in a frame of either kind. */
export function numberOf(frame: Uint8Array): number {
  const at = frame[PROTOCOL_AT] === TCP ? TCP_PAYLOAD_AT : UDP_PAYLOAD_AT;
  return new DataView(frame.buffer, frame.byteOffset).getUint32(at);
}
