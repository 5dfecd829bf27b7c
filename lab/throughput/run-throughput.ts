// `furiwake lab throughput`: both topologies side by side, so that DSR and NAT take turns under the
// same conditions. First the recorded transfers, which also warm both directors up, then rounds.
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { coloursFor } from '../../src/cli/output.ts';
import type { DatapathName } from '../../src/config/config.ts';
import { type Progress, type ProgressOptions, SILENT, startProgress } from '../progress.ts';
import { requireLab } from '../requirements.ts';
import { keepFile, makeResultsDirectory } from '../results-directory.ts';
import { startLab } from '../running.ts';
import type { Confirmation } from './confirm.ts';
import { renderThroughput } from './render.ts';
import { type Sample, type Summary, summarize } from './summary.ts';
import {
  confirmAll,
  KINDS,
  type Labs,
  type MeasureOptions,
  measure,
  SECONDS_BESIDE,
  SECONDS_PER_RECORDED,
} from './transfers.ts';

export interface ThroughputOptions extends MeasureOptions {
  readonly datapath: DatapathName;
  readonly json: boolean;
  /** Where captures and figures go; `lab-results/TIME-throughput` unless given. */
  readonly keep?: string | undefined;
}

export interface ThroughputResult extends MeasureOptions {
  readonly datapath: DatapathName;
  /** Of all hosts; the datapath `cap` needs them off. */
  readonly offloads: 'on' | 'off';
  readonly conditions: { readonly kernel: string; readonly cpus: number; readonly node: string };
  readonly summary: Summary;
  readonly samples: readonly Sample[];
  readonly confirmations: readonly Confirmation[];
  /** True if every capture is whole and agrees with all counters. */
  readonly confirmed: boolean;
  /** Holds the captures and `throughput.json`. */
  readonly directory: string;
}

/** Runs the command. Resolves with its exit code: 0 if captures confirm the counters, else 1. */
export async function runThroughput(options: ThroughputOptions): Promise<number> {
  requireLab();
  const directory = makeResultsDirectory('throughput', options.keep);
  const result = await measureThroughput(options, directory);
  const text = options.json
    ? JSON.stringify(result)
    : `\n${renderThroughput(result, coloursFor(process.stdout))}`;
  console.log(text);
  return result.confirmed ? 0 : 1;
}

/** Builds both labs, records, measures. They are gone at the end, however it ends. */
export async function measureThroughput(
  options: ThroughputOptions,
  directory: string,
): Promise<ThroughputResult> {
  const { datapath, seconds, rounds, json } = options;
  const announce = (steps: ProgressOptions): Progress =>
    json ? SILENT : startProgress(steps, process.stdout);
  const { samples, confirmations } = await withLabs(datapath, async (labs) => {
    const recording = announce({
      title: 'Recording one small transfer of each kind',
      seconds: KINDS.map(() => SECONDS_PER_RECORDED),
    });
    const all = await confirmAll(labs, directory, recording).finally(recording.end);
    const measuring = announce({
      title: `Measuring both in turns, ${rounds} x ${KINDS.length} transfers of ${seconds} s`,
      seconds: new Array<number>(rounds * KINDS.length).fill(seconds + SECONDS_BESIDE),
    });
    const measured = await measure(labs, options, measuring).finally(measuring.end);
    return { samples: measured, confirmations: all };
  });
  const result: ThroughputResult = {
    ...{ seconds, rounds, datapath, offloads: datapath === 'cap' ? 'off' : 'on', directory },
    conditions: { kernel: release(), cpus: availableParallelism(), node: process.version },
    summary: summarize(samples),
    ...{ samples, confirmations },
    confirmed: confirmations.every(({ verdict }) => verdict === 'confirmed'),
  };
  keepFile(join(directory, 'throughput.json'), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

async function withLabs<T>(datapath: DatapathName, action: (labs: Labs) => Promise<T>): Promise<T> {
  const dsr = await startLab({ topology: 'dsr', datapath });
  try {
    const nat = await startLab({ topology: 'nat', datapath });
    try {
      return await action({ dsr, nat });
    } finally {
      await nat.close();
    }
  } finally {
    await dsr.close();
  }
}
