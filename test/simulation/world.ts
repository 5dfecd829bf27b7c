// Time and wires of a simulation: things happen at whole milliseconds, in the order in which they
// were planned; a wire loses frames, doubles them, and lets them overtake each other.
import type { Random } from './random.ts';

export interface WireFaults {
  /** Probability that a frame is lost. */
  readonly loss: number;
  /** Probability that it comes twice. */
  readonly double: number;
  /** The longest that it takes; frames overtake each other when this is more than 1. */
  readonly mostDelayMs: number;
}

export interface World {
  readonly nowMs: number;
  readonly random: Random;
  /** What went wrong, in words. */
  readonly violations: string[];
  faults: WireFaults;
  /** An identification for fragments that no others had lately; or 0: it goes whole. */
  cutAs(protocol: number): number;
  /** Plans something; at the earliest in the next millisecond. */
  after(delayMs: number, what: () => void): void;
  /** Sends a frame over a wire. */
  transmit(frame: Uint8Array, deliver: (frame: Uint8Array) => void): void;
  /** Does what is due in the next millisecond. */
  step(): void;
}

/** The part of datagrams that hosts send in fragments. */
const CUT = 0.2;

export const NO_FAULTS: WireFaults = { loss: 0, double: 0, mostDelayMs: 1 };

export function createWorld(random: Random): World {
  const agenda = new Map<number, (() => void)[]>();
  let nowMs = 0;
  let identification = 0;
  const world: World = {
    get nowMs() {
      return nowMs;
    },
    ...{ random, violations: [], faults: NO_FAULTS },
    cutAs(protocol) {
      if (protocol !== 17 || !random.chance(CUT)) return 0;
      identification = (identification % 0xffff) + 1;
      return identification;
    },
    after(delayMs, what) {
      const atMs = nowMs + Math.max(1, delayMs);
      const due = agenda.get(atMs);
      if (due === undefined) agenda.set(atMs, [what]);
      else due.push(what);
    },
    transmit(frame, deliver) {
      const { loss, double, mostDelayMs } = world.faults;
      if (random.chance(loss)) return;
      const copies = random.chance(double) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        world.after(random.between(1, mostDelayMs), () => deliver(frame.slice()));
      }
    },
    step() {
      nowMs += 1;
      for (const what of agenda.get(nowMs) ?? []) what();
      agenda.delete(nowMs);
    },
  };
  return world;
}
