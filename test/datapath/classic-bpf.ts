// The kernel's classic BPF machine, as slow and plain as it can be (Linux Documentation/networking/
// filter.rst): the few instructions that a socket filter here may use, and no others.

/** A received frame, as the kernel knows it when the filter runs. */
export interface FilteredFrame {
  readonly bytes: Uint8Array;
  /** 0 for this host, 1 broadcast, 2 multicast, 3 for another host. */
  readonly packetType: number;
  /** Priority and VLAN of its tag, if it came with one. */
  readonly vlanTag?: number | undefined;
  /** As a fanout program asks for it, which sees the bytes behind the Ethernet header alone. */
  readonly etherType?: number;
}

const INSTRUCTION_BYTES = 8;
const ANCILLARY = 0xfffff000;
const PROTOCOL = 0;
const PACKET_TYPE = 4;
const VLAN_TAG = 44;
const VLAN_TAG_PRESENT = 48;

/**
 * Runs a program; returns the bytes to keep, 0 for none. @throws Error if the kernel would refuse
 * it
 */
export function runClassicBpf(program: Uint8Array, frame: FilteredFrame): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const length = program.byteLength / INSTRUCTION_BYTES;
  if (!Number.isInteger(length) || length < 1 || length > 4096) throw new Error(`length ${length}`);
  let accumulator = 0;
  let index = 0;
  let kept: number | undefined;
  for (let at = 0; at < length; at++) {
    const { code, ifTrue, ifFalse, operand } = instructionAt(view, at * INSTRUCTION_BYTES);
    switch (code) {
      case 0x05:
        at += operand;
        break;
      case 0x06:
        return operand;
      case 0x16:
        return accumulator;
      case 0x07:
      case 0x01:
        index = code === 0x07 ? accumulator : operand;
        break;
      case 0x02:
        kept = accumulator;
        break;
      case 0x60:
        if (kept === undefined || operand !== 0) throw new Error(`instruction ${at} loads nothing`);
        accumulator = kept;
        break;
      case 0x04:
      case 0xac:
      case 0x24:
      case 0x74:
      case 0x94:
      case 0x54:
      case 0x64:
      case 0x0c:
        accumulator = compute(code, accumulator, (code & 8) !== 0 ? index : operand);
        break;
      case 0x15:
      case 0x25:
      case 0x45:
        at += holds(code, accumulator, operand) ? ifTrue : ifFalse;
        break;
      case 0xb1: {
        const loaded = load(frame, operand, 1);
        if (loaded === undefined) return 0;
        index = (loaded & 0x0f) * 4;
        break;
      }
      case 0x80:
        accumulator = frame.bytes.length;
        break;
      case 0x20:
      case 0x28:
      case 0x30:
      case 0x40:
      case 0x48:
      case 0x50: {
        const bytes = (code & 0x18) === 0 ? 4 : (code & 8) !== 0 ? 2 : 1;
        const loaded = load(frame, (code & 0x60) === 0x40 ? index + operand : operand, bytes);
        if (loaded === undefined) return 0;
        accumulator = loaded;
        break;
      }
      default:
        throw new Error(`instruction ${at} has the code ${code}`);
    }
  }
  throw new Error('the program has no end');
}

const instructionAt = (view: DataView, at: number) => ({
  ...{ code: view.getUint16(at, true), ifTrue: view.getUint8(at + 2) },
  ...{ ifFalse: view.getUint8(at + 3), operand: view.getUint32(at + 4, true) },
});

/** Equal, greater, any bit in common. */
function holds(code: number, one: number, other: number): boolean {
  if (code === 0x15) return one === other;
  return code === 0x25 ? one > other : (one & other) !== 0;
}

/** Exclusive or, sum, product, shifts, remainder, and. */
function compute(code: number, one: number, other: number): number {
  if (code === 0xac) return (one ^ other) >>> 0;
  if (code === 0x24) return Math.imul(one, other) >>> 0;
  if (code === 0x74) return one >>> other;
  if (code === 0x64) return (one << other) >>> 0;
  if (code === 0x0c || code === 0x04) return (one + other) >>> 0;
  return code === 0x94 ? one % other : (one & other) >>> 0;
}

/** Undefined beyond the end of the frame: there the kernel ends the program with 0. */
function load(frame: FilteredFrame, at: number, bytes: 1 | 2 | 4): number | undefined {
  if (at >= ANCILLARY) return ancillary(frame, at - ANCILLARY);
  if (at + bytes > frame.bytes.length) return undefined;
  const view = new DataView(frame.bytes.buffer, frame.bytes.byteOffset);
  if (bytes === 1) return view.getUint8(at);
  return bytes === 2 ? view.getUint16(at) : view.getUint32(at);
}

function ancillary(frame: FilteredFrame, what: number): number {
  if (what === PROTOCOL) return frame.etherType ?? 0;
  if (what === PACKET_TYPE) return frame.packetType;
  if (what === VLAN_TAG_PRESENT) return frame.vlanTag === undefined ? 0 : 1;
  if (what === VLAN_TAG) return frame.vlanTag ?? 0;
  throw new Error(`ancillary ${what}`);
}
