// The workloads of the two decks and the soak, as a comparison runs them after its paths: how much
// of each fits, and what becomes of it if it fails.
import { cacheSeconds, measureCache } from '../workloads/cache/measure-cache.ts';
import { SOAK_SECONDS_BESIDE, soak } from '../workloads/soak/soak.ts';
import { measureSql, SQL_WAYS, sqlSeconds } from '../workloads/sql/measure-sql.ts';
import type { Workload } from './compare.ts';
import type { Plan } from './plan.ts';
import { type SoakPoint, type SoakResult, WORKLOAD_PATHS, type WorkloadPath } from './result.ts';

/** What fits into two minutes. */
const QUICK_WAYS: readonly WorkloadPath[] = ['direct', 'dsr', 'nat', 'fwd'];
/** As the deck has them. */
const SQL_CONNECTIONS = [100, 200, 300, 400, 500, 600, 700, 800];
const QUICK_SQL_CONNECTIONS = [100];
/** Without a proxy, and with one to four. */
const CACHE_PROXIES = [0, 1, 2, 3, 4];
const QUICK_CACHE_PROXIES = [1];
/** Connections come and go in waves: a point needs longer than a transfer. */
const LEAST_SECONDS = 3;
const SOAK_POINTS = 120;
const LEAST_INTERVAL_SECONDS = 2;

export function workloadsOf(plan: Plan, directory: string): Workload[] {
  const much = {
    rounds: plan.rounds,
    seconds: plan.quick ? 1 : Math.max(plan.secondsPerSample, LEAST_SECONDS),
  };
  return [
    ...(plan.sql ? [sqlOf(plan, much, directory)] : []),
    ...(plan.cache ? [cacheOf(plan, much, directory)] : []),
    ...soaksOf(plan.soakMinutes),
  ];
}

interface Much {
  readonly rounds: number;
  readonly seconds: number;
}

function sqlOf({ quick }: Plan, much: Much, directory: string): Workload {
  const connections = quick ? QUICK_SQL_CONNECTIONS : SQL_CONNECTIONS;
  const options = { ...much, ways: quick ? QUICK_WAYS : SQL_WAYS, connections };
  const nothing = { secondsPerPoint: much.seconds, conditions: [], configs: [], points: [] };
  return {
    title: 'SQL',
    seconds: sqlSeconds(options),
    take: async ({ note, say, signal }) => {
      note({ sql: await measureSql({ ...options, directory, signal, onStep: say }) });
    },
    failed: (reason) => ({ sql: { status: 'failed', reason, ...nothing } }),
  };
}

function cacheOf({ quick }: Plan, much: Much, directory: string): Workload {
  const proxies = quick ? QUICK_CACHE_PROXIES : CACHE_PROXIES;
  const options = { ...much, ways: quick ? QUICK_WAYS : WORKLOAD_PATHS, proxies };
  const nothing = { secondsPerPoint: much.seconds, conditions: [], configs: [], points: [] };
  return {
    title: 'cache',
    seconds: cacheSeconds(options),
    take: async ({ note, say, signal }) => {
      note({ cache: await measureCache({ ...options, directory, signal, onStep: say }) });
    },
    failed: (reason) => ({ cache: { status: 'failed', reason, ...nothing } }),
  };
}

/** Both methods, one after the other; what is known of the first stays while the second runs. */
function soaksOf(minutes: number): Workload[] {
  if (minutes === 0) return [];
  const seconds = minutes * 60;
  const intervalSeconds = Math.max(LEAST_INTERVAL_SECONDS, Math.ceil(seconds / SOAK_POINTS));
  const done: SoakResult[] = [];
  return (['dsr', 'nat'] as const).map((method) => {
    const points: SoakPoint[] = [];
    let drops: SoakResult['drops'] = {};
    const partly = (reason: string): SoakResult => ({
      ...{ method, status: 'partly', reason, drops },
      points: [...points],
    });
    return {
      title: `soak, ${method}`,
      seconds: seconds + SOAK_SECONDS_BESIDE,
      onTop: true,
      take: async ({ note, say, signal }) => {
        const onPoint = (point: SoakPoint, sinceBegin: SoakResult['drops']) => {
          points.push(point);
          drops = sinceBegin;
          say(`soak, ${method}: ${Math.round(point.atSeconds)} of ${seconds} s`);
          note({ soaks: [...done, partly('it is not over')] });
        };
        done.push(await soak({ method, seconds, intervalSeconds, onPoint, signal }));
        note({ soaks: [...done] });
      },
      failed: (reason) => {
        done.push({ ...partly(reason), status: points.length > 0 ? 'partly' : 'failed' });
        return { soaks: [...done] };
      },
    };
  });
}
