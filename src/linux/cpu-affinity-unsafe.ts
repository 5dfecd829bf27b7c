// Keeps the calling thread on one processor (sched_setaffinity(2)). The data plane's loop loses its
// caches and its turn whenever the scheduler moves it: bulk uploads by DSR on two cores rose from
// 0.57 to 0.68 of no balancer (measured, medians of seven).
import { loadLibc } from './libc-unsafe.ts';

/** Room for 1,024 processors, as glibc's cpu_set_t has. */
const MASK_BYTES = 128;

/**
 * Pins the calling thread to the last processor that it may use, or one before it for each worker
 * before this one; whoever wants another one starts the process under taskset(1). With one
 * processor, or if the kernel refuses, nothing changes.
 */
export function pinThread(worker = 0): void {
  const libc = loadLibc();
  const mask = new Uint8Array(MASK_BYTES);
  // Zero is the calling thread.
  if (libc.sched_getaffinity(0, MASK_BYTES, mask) !== 0) return;
  const allowed = processorsOf(mask);
  const chosen = allowed.at(-1 - (worker % Math.max(1, allowed.length)));
  if (chosen === undefined || allowed.length < 2) return;
  mask.fill(0);
  mask[chosen >> 3] = 1 << (chosen & 7);
  libc.sched_setaffinity(0, MASK_BYTES, mask);
}

function processorsOf(mask: Uint8Array): number[] {
  const all = Array.from({ length: mask.length * 8 }, (_, processor) => processor);
  return all.filter((processor) => ((mask[processor >> 3] as number) >> (processor & 7)) & 1);
}
