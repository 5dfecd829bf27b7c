// All schedulers by name. The data path goes through here once for each new flow.
import { maglev } from './maglev.ts';
import { rr } from './rr.ts';
import type { Scheduler, SchedulerName } from './scheduler.ts';
import { sh } from './sh.ts';
import { wrr } from './wrr.ts';

export const SCHEDULERS: Readonly<Record<SchedulerName, Scheduler>> = { rr, wrr, sh, maglev };

export function schedulerNamed(name: SchedulerName): Scheduler {
  return SCHEDULERS[name];
}
