// Processor time by the kernel's own books, in two views that do not add up: that of the machine,
// and that of some processes. A frame that a host sends over veth is carried through bridges and
// forwarding to the receiver's socket in the sender's softirq, so what a kernel path costs is in no
// process of a balancer; the machine's time has it all, and all else that ran meanwhile too.
import { readFileSync } from 'node:fs';
import type { CpuUse } from '../result.ts';

/** USER_HZ: the unit of /proc, 1/100 s on every architecture that Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100;

export interface CpuReading {
  /** From a clock that only goes forward. */
  readonly wallSeconds: number;
  /** Of all processors since the machine started. */
  readonly machineSeconds: number;
  /** Of each process since it started, all its threads together. */
  readonly processSeconds: ReadonlyMap<number, number>;
}

/** Reads the machine's time and that of `pids`; a process that is gone is left out. */
export function readCpu(pids: readonly number[]): CpuReading {
  const processSeconds = new Map<number, number>();
  for (const pid of pids) {
    const seconds = readProcess(pid);
    if (seconds !== undefined) processSeconds.set(pid, seconds);
  }
  return {
    wallSeconds: performance.now() / 1000,
    machineSeconds: machineSeconds(readFileSync('/proc/stat', 'utf8')),
    processSeconds,
  };
}

/** What was used between two readings. A process that began meanwhile counts from its start. */
export function cpuBetween(before: CpuReading, after: CpuReading): CpuUse {
  let balancerSeconds = 0;
  for (const [pid, seconds] of after.processSeconds) {
    balancerSeconds += seconds - (before.processSeconds.get(pid) ?? 0);
  }
  return {
    wallSeconds: after.wallSeconds - before.wallSeconds,
    machineSeconds: after.machineSeconds - before.machineSeconds,
    balancerSeconds,
  };
}

/**
 * Busy time of all processors, out of the text of /proc/stat: user, nice, system, irq and softirq.
 * Idle, waiting for disks, and what a hypervisor took are not work; guests are within user.
 */
export function machineSeconds(text: string): number {
  const line = /^cpu\s+(.+)$/m.exec(text)?.[1];
  if (line === undefined) throw new Error('/proc/stat has no line for all processors');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

/**
 * User and system time of a process with all its threads, out of the text of /proc/PID/stat: fields
 * 14 and 15 (proc_pid_stat(5)). The name before them may hold spaces and parentheses.
 */
export function processSeconds(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // The first field after the name is the third of all.
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function readProcess(pid: number): number | undefined {
  try {
    return processSeconds(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}
