// Gives up addresses that left the source pool: at most once at a time for each, and after a
// failure not again for a while, however often somebody says that it has the address now.
import type { RetiredSource } from '../config/config.ts';
import type { RunLog } from './run-log.ts';

const PAUSE_MS = 60_000;

export interface ForgetOptions {
  /** What is answered for now. */
  readonly retired: () => readonly RetiredSource[];
  /** Answers only for these from now on; gives what keeps it from that. */
  readonly keepOnly: (rest: readonly RetiredSource[]) => Promise<string | undefined>;
  readonly inTurn: (change: () => Promise<void>) => void;
  readonly nowMs: () => number;
  readonly log: Pick<RunLog, 'event'>;
}

/** Makes what forgets addresses; `why` completes "is answered for no longer: ...". */
export function createForgetting(options: ForgetOptions) {
  const { retired, keepOnly, inTurn, nowMs, log } = options;
  const pending = new Set<string>();
  const failedMs = new Map<string, number>();
  const isDue = (address: string) =>
    !pending.has(address) && nowMs() - (failedMs.get(address) ?? -Infinity) >= PAUSE_MS;
  const forget = async (addresses: readonly string[], why: string) => {
    const gone = retired().filter(({ address }) => addresses.includes(address));
    if (gone.length === 0) return;
    const problem = await keepOnly(retired().filter((each) => !gone.includes(each)));
    for (const { address } of gone) {
      if (problem === undefined) failedMs.delete(address);
      else failedMs.set(address, nowMs());
      const how =
        problem === undefined ? `answered for no longer: ${why}` : `still ours: ${problem}`;
      log.event('pool', `${address} is ${how}`, { address });
    }
  };
  return (addresses: readonly string[], why: string): void => {
    const due = addresses.filter(isDue);
    if (due.length === 0) return;
    for (const address of due) pending.add(address);
    inTurn(async () => {
      try {
        await forget(due, why);
      } finally {
        for (const address of due) pending.delete(address);
      }
    });
  };
}
