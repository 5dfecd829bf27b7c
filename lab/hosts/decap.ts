// `furiwake decap` on a real, as a user would run it: it takes the director's tunnel packets, and
// gives what is in them to a kernel that has no tunnel device.
import { readFileSync } from 'node:fs';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { until } from '../wait.ts';
import { mainProgram } from './director.ts';

/** The node process needs a moment to start, more on a busy machine. */
const START_TIMEOUT_MS = 30_000;

/** Starts it on `host` for packets to `vips`, and waits until it takes them. */
export async function startDecap(lab: Lab, host: string, vips: readonly string[]): Promise<Daemon> {
  const named = vips.flatMap((vip) => ['--vip', vip]);
  const argv = [process.execPath, mainProgram(), 'decap', ...named, '--json'];
  const daemon = lab.spawn(host, { name: 'decap', argv });
  const started = async () => readFileSync(daemon.outputFile, 'utf8').includes('"started"');
  const options = { giveUp: daemon.whyNot, timeoutMs: START_TIMEOUT_MS };
  await until(`decap on ${host}`, started, options);
  return daemon;
}
