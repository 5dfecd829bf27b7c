// What becomes of a frame, as one small integer, so that the hot path allocates nothing.
// Low byte: the kind. The rest: the arm to send on (send, answer) or the drop reason (drop).

export const PASS = 0;
export const SEND = 1;
export const ANSWER = 2;
export const DROP_FRAME = 3;
/** The director has a copy, which leaves by the outbox, now or later, or is dropped later. */
export const TAKEN = 4;

export type Verdict = number;

export const send = (arm: number): Verdict => SEND | (arm << 8);
export const answer = (arm: number): Verdict => ANSWER | (arm << 8);
export const drop = (reason: number): Verdict => DROP_FRAME | (reason << 8);

export const kindOf = (verdict: Verdict): number => verdict & 0xff;
/** The arm of a send or answer, the reason of a drop. */
export const detailOf = (verdict: Verdict): number => verdict >>> 8;
