// Keeps the guard in place while a director runs: installs it, replaces its rules, installs it anew
// when its interface is a new one or somebody ended its nft. A director whose guard cannot be had
// back must end, because it passed its checks on the strength of it.
import { type Guard, type GuardRules, installGuard } from '../linux/guard.ts';
import type { RunLog } from './run-log.ts';
import { pause } from './signals.ts';

/** A service manager may end all processes of a unit at once: then it is no loss but a stop. */
const LOSS_DELAY_MS = 200;

export interface GuardKeeper {
  /** Installs the guard in place of any that there is. Returns a problem, or undefined. */
  install(): Promise<string | undefined>;
  /** Replaces the rules by what `rules` gives now. Returns a problem, or undefined. */
  update(): Promise<string | undefined>;
  remove(): Promise<void>;
}

export interface GuardKeeperOptions {
  readonly interfaces: readonly string[];
  /** What the guard has to drop at this moment. */
  readonly rules: () => GuardRules;
  readonly stop: AbortSignal;
  readonly log: RunLog;
  /** The guard was lost and cannot be had back. */
  readonly onFailure: (problem: string) => void;
}

/** A keeper where there is no guard to keep. */
export const NO_GUARD: GuardKeeper = {
  install: async () => undefined,
  update: async () => undefined,
  remove: async () => {},
};

export function keepGuard(options: GuardKeeperOptions): GuardKeeper {
  const { interfaces, rules, stop, log, onFailure } = options;
  let guard: Guard | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const result = queue.then(task);
    queue = result;
    return result;
  };
  const remove = async () => {
    await guard?.remove();
    guard = undefined;
  };
  const install = async () => {
    await remove();
    const result = await installGuard({ interfaces, rules: rules(), onLost });
    if (!result.ok) return result.problem;
    guard = result.guard;
    return undefined;
  };
  const onLost = async () => {
    guard = undefined;
    await pause(LOSS_DELAY_MS, stop);
    if (stop.aborted) return;
    log.event('guard', 'the guard was removed by somebody else; installing it again');
    const problem = await inTurn(install);
    if (problem !== undefined) onFailure(problem);
  };
  return {
    install: () => inTurn(install),
    update: () => inTurn(async () => guard?.update(rules())),
    remove: () => inTurn(remove),
  };
}
