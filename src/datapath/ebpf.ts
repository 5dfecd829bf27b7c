// A small assembler for eBPF (RFC 9669), and the way from classic BPF to it. A program is a list of
// instructions and labels; jumps name labels.
import type { Instruction } from './socket-filter.ts';

/** One instruction, or a label: the place of the next instruction. */
export type Line = Operation | string;

export interface Operation {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  /** The label that a jump leads to, instead of an offset. */
  readonly label?: string;
  readonly operand?: number;
}

/** Where functions find their arguments and leave their result: R0 to R5 do not survive a call. */
export const [R0, R1, R2, R3, R4, R5] = [0, 1, 2, 3, 4, 5] as const;
/** Registers that survive calls. */
export const [R6, R7, R8, R9] = [6, 7, 8, 9] as const;
/** The stack's end: what a program keeps lies below. */
export const FRAME = 10;

/** Helper functions, by their numbers (include/uapi/linux/bpf.h). */
export const HELPER = {
  lookUp: 1,
  storeBytes: 9,
  replaceChecksum: 11,
  redirect: 23,
  loadBytes: 26,
  coarseTime: 160,
} as const;

/** How wide a load or store is. */
export const [WORD, HALF, BYTE, DOUBLE] = [0x00, 0x08, 0x10, 0x18] as const;

export const move = (to: number, from: number): Operation => ({ code: 0xbf, to, from });
export const set = (to: number, operand: number): Operation => ({ code: 0xb7, to, operand });
export const call = (helper: number): Operation => ({ code: 0x85, operand: helper });
export const exit: Operation = { code: 0x95 };

/** `to` becomes what lies at `from + offset`, in the processor's byte order. */
export const load = (size: number, to: number, from: number, offset: number): Operation => ({
  ...{ code: 0x61 | size, to, from, offset },
});
export const store = (size: number, to: number, offset: number, from: number): Operation => ({
  ...{ code: 0x63 | size, to, from, offset },
});
/** Adds to eight bytes of memory that other processors add to as well. */
export const addAtomically = (to: number, offset: number, from: number): Operation => ({
  ...{ code: 0xdb, to, from, offset },
});

/** Arithmetic of 64 bits with a number, or with a register. */
const ALU = { add: 0x00, and: 0x50, left: 0x60, right: 0x70, xor: 0xa0 } as const;
export type Alu = keyof typeof ALU;
export const alu = (what: Alu, to: number, operand: number): Operation => ({
  ...{ code: 0x07 | ALU[what], to, operand },
});
export const aluBy = (what: Alu, to: number, from: number): Operation => ({
  ...{ code: 0x0f | ALU[what], to, from },
});
/** From network byte order to the processor's, for 16 bits. */
export const fromNetwork16 = (to: number): Operation => ({ code: 0xdc, to, operand: 16 });

const TEST = { equal: 0x10, greater: 0x20, anyBit: 0x40, unequal: 0x50 } as const;
export type Test = keyof typeof TEST;
/** Goes to the label if the low 32 bits of a register are so, without a sign. */
export const jumpIf = (
  register: number,
  test: Test,
  operand: number,
  label: string,
): Operation => ({
  ...{ code: 0x06 | TEST[test], to: register, operand, label },
});
export const jumpIfBy = (register: number, test: Test, by: number, label: string): Operation => ({
  ...{ code: 0x0e | TEST[test], to: register, from: by, label },
});
/** Goes to the label if a pointer is none. */
export const jumpIfNull = (register: number, label: string): Operation => ({
  ...{ code: 0x15, to: register, operand: 0, label },
});
export const jump = (label: string): Operation => ({ code: 0x05, label });

/** A map by its descriptor: one instruction of twice the length. */
export const loadMap = (to: number, fd: number): Operation[] => [
  { code: 0x18, to, from: 1, operand: fd },
  { code: 0x00 },
];

/** The program as the kernel takes it. */
export function assemble(lines: readonly Line[]): Uint8Array<ArrayBuffer> {
  const labels = new Map<string, number>();
  const operations: Operation[] = [];
  for (const line of lines) {
    if (typeof line === 'string') labels.set(line, operations.length);
    else operations.push(line);
  }
  const view = new DataView(new ArrayBuffer(operations.length * 8));
  for (const [index, operation] of operations.entries()) {
    const { code, to = 0, from = 0, label, operand = 0, ...rest } = operation;
    const at = index * 8;
    const target = label === undefined ? index + 1 : labels.get(label);
    if (target === undefined) throw new Error(`no label ${label}`);
    view.setUint8(at, code);
    view.setUint8(at + 1, to | (from << 4));
    view.setInt16(at + 2, rest.offset ?? target - index - 1, true);
    view.setInt32(at + 4, operand | 0, true);
  }
  return new Uint8Array(view.buffer);
}

// Classic BPF, as socket-filter.ts writes it.
const LOAD_LENGTH = 0x80;
const LOAD_ABSOLUTE = new Set([0x20, 0x28, 0x30]);
const LOAD_INDEXED = 0x50;
const INDEX_HEADER = 0xb1;
const JUMP = 0x05;
const AND = 0x54;
const RETURN = 0x06;
/** From there on an offset means something about the packet (SKF_AD_OFF). */
const ABOUT = 0xfffff000;
/** Where struct __sk_buff has it: the type of packet, the VLAN tag, whether there is one. */
const FIELD_OF: Readonly<Record<number, number>> = { 4: 4, 44: 24, 48: 20 };

/** The label of one instruction of a classic program. */
export const placeOf = (index: number): string => `classic ${index}`;

/**
 * The same program as eBPF, which may stand behind other instructions. The context is in R6; R0
 * holds the accumulator, R7 the index. It ends by itself.
 * @throws RangeError for an instruction that socket-filter.ts has no use for
 */
export function fromClassic(program: readonly Instruction[]): Line[] {
  return program.flatMap(([code, ifTrue, ifFalse, operand], index): Line[] => {
    const next = index + 1;
    const body = (): Line[] => {
      if (code === RETURN) return [set(R0, operand), exit];
      if (code === JUMP) return [jump(placeOf(next + operand))];
      if (code === LOAD_LENGTH) return [load(WORD, R0, R6, 0)];
      if (code === AND) return [{ code: AND, to: R0, operand }];
      if (code === LOAD_INDEXED) return [{ code, from: R7, operand }];
      if (code === INDEX_HEADER) {
        const byte = { code: 0x30, operand };
        return [byte, alu('and', R0, 0xf), alu('left', R0, 2), move(R7, R0)];
      }
      if (LOAD_ABSOLUTE.has(code)) {
        const field = FIELD_OF[operand - ABOUT];
        if (operand < ABOUT) return [{ code, operand }];
        if (field !== undefined) return [load(WORD, R0, R6, field)];
      } else if ((code & 0x0f) === JUMP) {
        // The class of jumps that look at 32 bits.
        const there = { code: code ^ 0x03, to: R0, operand, label: placeOf(next + ifTrue) };
        return [there, jump(placeOf(next + ifFalse))];
      }
      throw new RangeError(`classic BPF ${code.toString(16)} has no way to eBPF here`);
    };
    return [placeOf(index), ...body()];
  });
}
