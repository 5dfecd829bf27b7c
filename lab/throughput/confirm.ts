// Whether a capture confirms the counters. The frames at the director's switch ports are summed, by
// way and by payload, and held against what the director and the kernel counted in the same time.
// A capture that lost frames confirms nothing, whatever its sums are.
import { parseMac } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import type { RecordReport } from '../capture/recorder-messages.ts';
import type { PcapFrame } from '../pcap/read-pcap.ts';
import { type Crossing, sameCrossing, subtractCrossing, sumCrossings } from './crossing.ts';
import type { Direction, Method } from './summary.ts';

/** What was recorded at the switch's end of one of the director's cables. */
export interface PortCapture {
  /** As shown; its name within the directory of the captures. */
  readonly file: string;
  /** MAC address of the director's arm: a frame from it goes out, every other one goes in. */
  readonly mac: string;
  readonly frames: readonly PcapFrame[];
  readonly report: Pick<RecordReport, 'missedFrames' | 'full' | 'quiet' | 'crashed'>;
}

export interface ConfirmationInput {
  readonly method: Method;
  readonly direction: Direction;
  /** Port of the service on the VIP and on the reals. */
  readonly port: number;
  /** Payload that the receiving end counted; it does not wait for the last of an upload. */
  readonly deliveredBytes: number;
  readonly director: Crossing;
  readonly kernel: Crossing;
  readonly captures: readonly PortCapture[];
}

export interface Confirmation {
  readonly method: Method;
  readonly direction: Direction;
  /** `not-whole`: a capture lost frames, so it proves nothing either way. */
  readonly verdict: 'confirmed' | 'differs' | 'not-whole';
  readonly deliveredBytes: number;
  readonly director: Crossing;
  readonly kernel: Crossing;
  readonly capture: Crossing;
  /** TCP payload of the transfer's direction, headers not counted, that entered the director. */
  readonly payloadInBytes: number;
  readonly payloadOutBytes: number;
  readonly files: readonly string[];
  /** Differences, and what is wrong with the captures; empty if all is well. */
  readonly notes: readonly string[];
}

export interface CaptureSums {
  readonly crossing: Crossing;
  readonly payloadInBytes: number;
  readonly payloadOutBytes: number;
}

export function confirm(input: ConfirmationInput): Confirmation {
  const { method, direction, deliveredBytes, director, kernel, captures } = input;
  const sums = captures.map((capture) => sumCapture(capture, input));
  const capture = sumCrossings(sums.map((each) => each.crossing));
  const damage = captures.flatMap(damageOf);
  const differences = [
    ...differenceNote('director', director, capture),
    ...differenceNote('kernel', kernel, capture),
  ];
  const same = differences.length === 0;
  return {
    method,
    direction,
    verdict: damage.length > 0 ? 'not-whole' : same ? 'confirmed' : 'differs',
    ...{ deliveredBytes, director, kernel, capture },
    payloadInBytes: sums.reduce((total, each) => total + each.payloadInBytes, 0),
    payloadOutBytes: sums.reduce((total, each) => total + each.payloadOutBytes, 0),
    files: captures.map(({ file }) => file),
    notes: [...damage, ...differences],
  };
}

/** Sums the frames of one port. */
export function sumCapture(
  { frames, mac }: Pick<PortCapture, 'frames' | 'mac'>,
  { port, direction }: { readonly port: number; readonly direction: Direction },
): CaptureSums {
  const own = parseMac(mac);
  const sums = { inFrames: 0, inBytes: 0, outFrames: 0, outBytes: 0 };
  const payload = { in: 0, out: 0 };
  for (const { bytes, originalBytes } of frames) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const way =
      ethernet.sourceHigh(view, 0) === own?.high && ethernet.sourceLow(view, 0) === own.low
        ? 'out'
        : 'in';
    sums[`${way}Frames`] += 1;
    sums[`${way}Bytes`] += originalBytes;
    payload[way] += payloadBytes(view, port, direction);
  }
  return { crossing: sums, payloadInBytes: payload.in, payloadOutBytes: payload.out };
}

/** TCP payload to the port, or from it for downloads; by the headers, for frames may be cut. */
function payloadBytes(view: DataView, port: number, direction: Direction): number {
  const l3 = ethernet.HEADER_BYTES;
  if (view.byteLength < l3 + ipv4.HEADER_BYTES) return 0;
  if (ethernet.type(view, 0) !== ethernet.TYPE_IPV4) return 0;
  if (ipv4.protocol(view, l3) !== ipv4.PROTOCOL_TCP || ipv4.isFragment(view, l3)) return 0;
  const l4 = l3 + ipv4.headerBytes(view, l3);
  if (view.byteLength < l4 + tcp.HEADER_BYTES) return 0;
  const servicePort =
    direction === 'upload' ? tcp.destinationPort(view, l4) : tcp.sourcePort(view, l4);
  if (servicePort !== port) return 0;
  return ipv4.totalBytes(view, l3) - ipv4.headerBytes(view, l3) - tcp.dataOffsetBytes(view, l4);
}

/** Why a capture is not whole; empty if it is. */
function damageOf({ file, report }: PortCapture): string[] {
  const { missedFrames, full, quiet, crashed } = report;
  const parts: string[] = [];
  if (crashed !== null) parts.push(crashed.message);
  else if (missedFrames === null) parts.push('the recorder cannot tell whether it lost frames');
  else if (missedFrames > 0) parts.push(`the recorder lost ${missedFrames} frames`);
  if (full !== null) parts.push(`the recorder reached its limit of ${full}`);
  else if (!quiet && crashed === null) parts.push('frames still came when the recorder stopped');
  return parts.map((part) => `${file}: ${part}`);
}

/** `director: in +2 frames, +120 bytes against the capture`; empty if there is no difference. */
function differenceNote(who: string, counted: Crossing, captured: Crossing): string[] {
  if (sameCrossing(counted, captured)) return [];
  const difference = subtractCrossing(counted, captured);
  const parts = (['in', 'out'] as const).flatMap((way) => {
    const frames = difference[`${way}Frames`];
    const bytes = difference[`${way}Bytes`];
    if (frames === 0 && bytes === 0) return [];
    return [`${way} ${signed(frames)} frames, ${signed(bytes)} bytes`];
  });
  return [`${who}: ${parts.join(', ')} against the capture`];
}

const signed = (value: number): string => (value > 0 ? `+${value}` : String(value));
