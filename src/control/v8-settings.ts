// What the director asks of V8.
import { setFlagsFromString } from 'node:v8';
import type { ResourceLimits } from 'node:worker_threads';

/**
 * V8 stops inlining when a function has grown by 920 bytes of bytecode, which is less than a
 * packet's way through the director; each call that stays one costs several nanoseconds (measured:
 * `npm run bench core`, 22 ns a packet). To be called before the hot functions run for the first
 * time.
 */
export function inlineGenerously(): void {
  setFlagsFromString('--max-inlined-bytecode-size=2000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000');
}

/**
 * Where little is allocated, V8 marks the whole heap some seconds later to make it smaller: frames
 * wait for that, 7 to 18 ms in the middle of a flood (measured, `--trace-gc`). A heap that is made
 * after this call does without. native-notes/v8.md shows it.
 */
export function keepHeapsAsTheyAre(): void {
  setFlagsFromString('--no-memory-reducer');
}

/**
 * Loading modules makes V8 grow the space for young objects to 16 MB, of which a director needs one
 * and would hold the rest for its first ten seconds, under load for longer (measured: 8 MiB of 141;
 * native-notes/v8.md shows it). For all heaps of the process, until another one is made: V8 then
 * takes the least factor that it knows, 2, so each thread says it again.
 */
export function keepYoungSpacesSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** The loop allocates next to nothing: room for more young objects would only be held. */
export const DATA_PLANE_LIMITS: ResourceLimits = { maxYoungGenerationSizeMb: 2 };
