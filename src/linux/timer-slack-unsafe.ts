// How late the kernel may end a sleep of the calling thread, so that it ends several at once: 50 µs
// unless told (PR_SET_TIMERSLACK, prctl(2)).
import { loadLibc } from './libc-unsafe.ts';

const PR_SET_TIMERSLACK = 29;
const SLACK_NS = 1000;

/** From now on the calling thread's sleeps end in time; if the kernel refuses, nothing changes. */
export function sleepPunctually(): void {
  loadLibc().prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
}
