// All schedulers by name. The data path goes through here once for each new flow.
import { dh } from './dh.ts';
import { fo } from './fo.ts';
import { lblc } from './lblc.ts';
import { lblcr } from './lblcr.ts';
import { lc } from './lc.ts';
import { maglev } from './maglev.ts';
import { nq } from './nq.ts';
import { ovf } from './ovf.ts';
import { random } from './random.ts';
import { rendezvous } from './rendezvous.ts';
import { rr } from './rr.ts';
import type { Scheduler, SchedulerName } from './scheduler.ts';
import { sed } from './sed.ts';
import { sh } from './sh.ts';
import { twos } from './twos.ts';
import { wlc } from './wlc.ts';
import { wrr } from './wrr.ts';

export const SCHEDULERS: Readonly<Record<SchedulerName, Scheduler>> = {
  ...{ rr, wrr, lc, wlc, sh, dh, maglev, rendezvous },
  ...{ sed, nq, fo, ovf, lblc, lblcr, random, twos },
};

export function schedulerNamed(name: SchedulerName): Scheduler {
  return SCHEDULERS[name];
}
