// Adaptive coalescing, as network cards do it with interrupts (ethtool(8), adaptive-rx): on a host
// without idle processors, a loop that wakes for every few frames takes time from those whom the
// frames are for. Then it rests when its rings are empty, and handles together what has come.
// There are two rests (measured on two busy cores, as shares of the rate without a balancer):
// - a long one for frames that come few at a time: SQL by DSR rose from 0.89 to 1.01 (medians of
//   four);
// - a short one for super-frames, whose senders wait for room and not for the next of them: uploads
//   by DSR rose from 0.42 to 0.50 with cubic, from 0.58 to 0.63 with bbr (medians of five).

/** What a rest adds to the time of a packet that comes at its beginning. */
export const LONG_REST_US = 2000;
export const SHORT_REST_US = 50;
/** How long is watched before it is decided anew. */
const WINDOW_MS = 500;
/** Long rests: the host is busy if its processors have less than this share of time to spare. */
const IDLE_SHARE = 0.03;
/** Rests that gather fewer frames than this are not worth it. */
const FEWEST_FRAMES = 8;
/** As many frames in the time of a rest fill the batches without it. */
const MOST_FRAMES = 256;
/** How long rests that did not pay are not tried again: doubled each time, until they pay. */
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 16_000;
/** Short rests: frames of so many bytes on average are those of a bulk transfer. */
const BULK_FRAME_BYTES = 8192;
/** Whoever copies so much fills a processor; with more of them to spare nobody is disturbed. */
const BULK_IDLE_SHARE = 0.3;
/** If it finds frames more seldom than this, there is little to save. */
const FEWEST_LOOKS_PER_MS = 1;

/** What a long rest must gather: twice what comes without one, or it changes little. */
const enough = (without: number) => Math.max(FEWEST_FRAMES, 2 * without);

export interface Signs {
  /** Milliseconds that all processors together had nothing to do, since some time; or NaN. */
  idleMs(): number;
  readonly processors: number;
  /** Of all frames since some time. */
  receivedBytes(): number;
}

/**
 * Makes the function that the loop asks after each look at its rings, with the number of frames
 * that it handled in that look: how many microseconds shall it rest, rather than wait for the next
 * frame? 0: not at all.
 */
export function createCoalescing(
  { idleMs, processors, receivedBytes }: Signs,
  nowMs: number,
): (frames: number, nowMs: number) => number {
  let sinceMs = nowMs;
  let idleSinceMs = idleMs();
  let bytesBefore = receivedBytes();
  let frames = 0;
  let looks = 0;
  let restUs = 0;
  /** Frames in a look before it began to take long rests. */
  let without = 0;
  let pausedMs = 0;
  let nextPauseMs = SHORTEST_PAUSE_MS;

  function decide(elapsedMs: number): void {
    const idleNowMs = idleMs();
    const idleShare = (idleNowMs - idleSinceMs) / (elapsedMs * processors);
    idleSinceMs = idleNowMs;
    const bytes = receivedBytes();
    const isBulk = bytes - bytesBefore >= BULK_FRAME_BYTES * Math.max(1, frames);
    bytesBefore = bytes;
    pausedMs = Math.max(0, pausedMs - elapsedMs);
    if (isBulk) {
      // Says nothing of whether long rests pay.
      restUs = paysShort(idleShare, elapsedMs) ? SHORT_REST_US : 0;
    } else {
      restUs = paysLong(idleShare < IDLE_SHARE, elapsedMs) ? LONG_REST_US : 0;
    }
  }

  function paysLong(isBusy: boolean, elapsedMs: number): boolean {
    // After a bulk transfer: what came was gathered by short rests.
    if (restUs === SHORT_REST_US) return false;
    const inRest = (frames * LONG_REST_US) / (elapsedMs * 1000);
    const perLook = frames / Math.max(1, looks);
    if (restUs === LONG_REST_US) {
      const goesOn = isBusy && inRest <= MOST_FRAMES && perLook >= enough(without);
      pausedMs = goesOn ? 0 : nextPauseMs;
      nextPauseMs = goesOn ? SHORTEST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, 2 * nextPauseMs);
      return goesOn;
    }
    without = perLook;
    // Only a guess: clients that wait for their answers send less while the loop rests.
    return isBusy && pausedMs === 0 && inRest >= enough(without) && inRest <= MOST_FRAMES;
  }

  const paysShort = (idleShare: number, elapsedMs: number): boolean =>
    idleShare < BULK_IDLE_SHARE && looks >= FEWEST_LOOKS_PER_MS * elapsedMs;

  return (count, now) => {
    frames += count;
    if (count > 0) looks++;
    const elapsedMs = (now - sinceMs) | 0;
    if (elapsedMs >= WINDOW_MS) {
      decide(elapsedMs);
      sinceMs = now;
      frames = 0;
      looks = 0;
    }
    return count > 0 ? restUs : 0;
  };
}
