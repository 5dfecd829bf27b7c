// What becomes of a frame, as one small integer, so that the hot path allocates nothing.
// Low byte: the kind. Second byte: the arm to send on (send, answer) or the drop reason (drop). The
// rest: how many bytes further ahead the frame begins now, because headers were put before it
// (send), or how many segments stand for it (taken).

export const PASS = 0;
export const SEND = 1;
export const ANSWER = 2;
export const DROP_FRAME = 3;
/** The director has a copy, which leaves by the outbox, now or later, or is dropped later. */
export const TAKEN = 4;

export type Verdict = number;

export const send = (arm: number): Verdict => SEND | (arm << 8);
/** Like send, for a frame that begins `ahead` bytes further ahead than where it came in. */
export const sendAhead = (arm: number, ahead: number): Verdict => SEND | (arm << 8) | (ahead << 16);
/** Taken: the next `count` of the director's segments are to be sent in its place. */
export const segmented = (count: number): Verdict => TAKEN | (count << 16);
export const answer = (arm: number): Verdict => ANSWER | (arm << 8);
export const drop = (reason: number): Verdict => DROP_FRAME | (reason << 8);

export const kindOf = (verdict: Verdict): number => verdict & 0xff;
/** The arm of a send or answer, the reason of a drop. */
export const detailOf = (verdict: Verdict): number => (verdict >>> 8) & 0xff;
/** Of a send: bytes that the frame begins further ahead. Of a taken frame: its segments. */
export const restOf = (verdict: Verdict): number => verdict >>> 16;
