// Adaptive coalescing, as network cards do it with interrupts (ethtool(8), adaptive-rx): on a host
// without idle processors, a loop that wakes for every few frames takes time from those whom the
// frames are for. Then it rests when its rings are empty, and handles together what has come.
// Measured on two busy cores, medians of four: SQL by DSR rose from 0.89 to 1.01 of no balancer.
/** How long a rest is, and so what it adds to a packet's time at most. */
export const REST_MS = 2;
/** How long is watched before it is decided anew. */
const WINDOW_MS = 500;
/** The host is busy if its processors have less than this share of the time to spare. */
const IDLE_SHARE = 0.03;
/** Rests that gather fewer frames than this are not worth it. */
const FEWEST_FRAMES = 8;
/** As many frames in the time of a rest fill the batches without it. */
const MOST_FRAMES = 256;
/** How long rests that did not pay are not tried again: doubled each time, until they pay. */
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 16_000;

/** What a rest must gather: twice what comes without one, or it changes little. */
const enough = (without: number) => Math.max(FEWEST_FRAMES, 2 * without);

export interface Idleness {
  /** Milliseconds that all processors together had nothing to do, since some time; or NaN. */
  idleMs(): number;
  readonly processors: number;
}

/**
 * Makes the function that the loop asks after each look at its rings, with the number of frames
 * that it handled in that look: shall it rest, rather than wait for the next frame?
 */
export function createCoalescing(
  { idleMs, processors }: Idleness,
  nowMs: number,
): (frames: number, nowMs: number) => boolean {
  let sinceMs = nowMs;
  let idleSinceMs = idleMs();
  let frames = 0;
  let looks = 0;
  let resting = false;
  /** Frames in a look before it began to rest. */
  let without = 0;
  let pausedMs = 0;
  let nextPauseMs = SHORTEST_PAUSE_MS;

  function decide(elapsedMs: number): void {
    const idleNowMs = idleMs();
    const isBusy = idleNowMs - idleSinceMs < IDLE_SHARE * elapsedMs * processors;
    idleSinceMs = idleNowMs;
    const inRest = (frames * REST_MS) / elapsedMs;
    const perLook = frames / Math.max(1, looks);
    if (resting) {
      resting = isBusy && inRest <= MOST_FRAMES && perLook >= enough(without);
      pausedMs = resting ? 0 : nextPauseMs;
      nextPauseMs = resting ? SHORTEST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, 2 * nextPauseMs);
      return;
    }
    pausedMs = Math.max(0, pausedMs - elapsedMs);
    without = perLook;
    // Only a guess: clients that wait for their answers send less while the loop rests.
    const promises = inRest >= enough(without) && inRest <= MOST_FRAMES;
    resting = isBusy && pausedMs === 0 && promises;
  }

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
    return resting && count > 0;
  };
}
