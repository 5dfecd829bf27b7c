// `npm run bench`: the figures that the README quotes, measured on this machine, with the targets
// they are held against. A target that is missed is printed as missed; the exit code stays 0, since
// a figure of a busy machine is no failure of the program.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { Argument, Command, CommanderError } from 'commander';
import { OperatorError } from '../../src/cli/errors.ts';
import { bytes } from '../../src/cli/output.ts';
import { requireLab } from '../requirements.ts';
import { wholeNumber } from '../whole-number.ts';
import { buildBed } from './bed.ts';
import { interleave, type Sample, sampleOf, type Variant } from './measure.ts';
import { table } from './render.ts';
import { measureScale, type Scale, scaleSamples, scaleTargets } from './scale.ts';
import { renderScale } from './scale-page.ts';
import { buildDsrBed, CONGESTION_CONTROLS, natVariants } from './tcp.ts';
import { udpVariants } from './udp.ts';

/** A figure beside what it shall reach. */
export interface Target {
  readonly name: string;
  readonly value: number;
  readonly wanted: number;
  /** `none`: a figure that is told beside the others and held against nothing. */
  readonly rule: 'at least' | 'at most' | 'none';
  readonly unit: string;
}

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly json?: true;
}

type Samples = Map<string, Sample>;

/** So many that they fit in a processor's cache beside the frames, and so many that they do not. */
const CORE_FLOWS = [500, 10_000];

const PARTS = ['core', 'udp', 'nat', 'dsr', 'scale'] as const;

const program = new Command('bench')
  .description('measure the director against the kernel on this machine')
  .addArgument(new Argument('[parts...]', 'all unless given').choices(PARTS))
  .option('--rounds <n>', 'how often each path is measured', wholeNumber(1000), 5)
  .option('--seconds <n>', 'how long each measurement takes', wholeNumber(3600), 2)
  .option('--json', 'print the results as JSON')
  .exitOverride()
  .action(run);

async function run(parts: string[], { rounds, seconds, json }: Options): Promise<void> {
  const wants = (part: string) => parts.length === 0 || parts.includes(part);
  const targets: Target[] = [];
  const samples: Record<string, Sample[]> = {};
  const measure = async (part: string, variants: readonly Variant[]) => {
    const found = await interleave(variants, rounds, (text) => tell(`${part}: ${text}`));
    samples[part] = [...found.values()];
    return found;
  };
  const alone = ['core', 'scale'];
  if (parts.some((part) => !alone.includes(part)) || parts.length === 0) requireLab();
  if (wants('core')) targets.push(...measureCore(samples));
  const scale = wants('scale') ? await measureScale() : undefined;
  if (scale !== undefined) {
    Object.assign(samples, scaleSamples(scale));
    targets.push(...scaleTargets(scale));
  }
  if (wants('udp') || wants('nat')) {
    const bed = await buildBed();
    try {
      if (wants('nat'))
        targets.push(...natTargets(await measure('nat', await natVariants(bed, seconds))));
      if (wants('udp'))
        targets.push(...udpTargets(await measure('udp', await udpVariants(bed, seconds))));
      targets.push(memoryTarget(bed.residentBytes));
    } finally {
      await bed.lab.close();
    }
  }
  if (wants('dsr')) {
    const { labs, variants } = await buildDsrBed(seconds);
    try {
      targets.push(...dsrTargets(await measure('dsr', variants)));
    } finally {
      for (const lab of labs) await lab.close();
    }
  }
  tell('');
  const failures = scale?.failures ?? [];
  const result = { conditions: conditions(rounds, seconds), samples, targets, failures };
  const files = keep(result, scale);
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : table(result));
  if (!json) process.stdout.write(`\nAll values: ${files.join(', the curves as a page: ')}\n`);
}

function measureCore(samples: Record<string, Sample[]>): Target[] {
  samples.core = [];
  const kinds = CORE_FLOWS.flatMap((flows) =>
    (['dsr', 'nat'] as const).map((method) => ({ method, flows })),
  );
  return kinds.flatMap(({ method, flows }) => {
    const name = `core ${method}, ${flows} flows`;
    tell(name);
    const child = new URL('./core-child.js', import.meta.url).pathname;
    // Its heap is kept as the data plane's is: src/control/v8-settings.ts.
    const argv = ['--no-memory-reducer', child, method, String(flows)];
    const output = execFileSync(process.execPath, argv, { encoding: 'utf8' });
    const { runs, packets, collections } = JSON.parse(output) as {
      runs: number[];
      packets: number;
      collections: number;
    };
    const sample = sampleOf(`${method}, ${flows} flows, ns/packet`, runs);
    samples.core?.push(sample);
    const wanted = method === 'dsr' ? 25 : 40;
    const millions = packets / 1e6;
    return [
      { name, value: sample.median, wanted, rule: 'at most', unit: 'ns/packet' },
      {
        name: `${name}: garbage collections in ${millions} million packets`,
        ...{ value: collections, wanted: 0, rule: 'at most', unit: '' },
      },
    ] as const;
  });
}

const median = (samples: Samples, name: string) => samples.get(name)?.median ?? Number.NaN;

function ratio(samples: Samples, name: string, peer: string, wanted: number): Target {
  const value = median(samples, name) / median(samples, peer);
  return { name: `${name} / ${peer}`, value, wanted, rule: 'at least', unit: 'x' };
}

/** The flow cache works on the sender's core, as the kernel's own ways do: told beside. */
const udpTargets = (samples: Samples): Target[] => [
  ratio(samples, 'furiwake nat', 'nft dnat', 1.3),
  ratio(samples, 'furiwake dsr', 'nft fwd', 1.05),
  { ...ratio(samples, 'furiwake nat tc', 'nft dnat', 1), rule: 'none' },
  { ...ratio(samples, 'furiwake dsr tc', 'nft fwd', 1), rule: 'none' },
];

const ownOf = (method: 'dsr' | 'nat') => [`furiwake ${method}`, `furiwake ${method} tc`];

const natTargets = (samples: Samples): Target[] =>
  ownOf('nat').flatMap((own) => [
    ratio(samples, `${own} upload`, 'nft dnat upload', 0.45),
    ratio(samples, `${own} download`, 'nft dnat download', 0.45),
  ]);

const dsrTargets = (samples: Samples): Target[] =>
  ownOf('dsr').flatMap((own) =>
    CONGESTION_CONTROLS.flatMap((name) => [
      ratio(samples, `${own} upload, ${name}`, `no balancer upload, ${name}`, 0.6),
      ratio(samples, `${own} download, ${name}`, `no balancer download, ${name}`, 0.85),
    ]),
  );

const memoryTarget = (bytes: number): Target => ({
  name: 'memory of a running director',
  ...{ value: bytes / 2 ** 20, wanted: 150, rule: 'at most', unit: 'MiB' },
});

interface Report {
  readonly conditions: Record<string, string | number>;
  readonly samples: Record<string, Sample[]>;
  readonly targets: readonly Target[];
  readonly failures: Scale['failures'];
}

function conditions(rounds: number, seconds: number): Record<string, string | number> {
  return {
    processor: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: bytes(totalmem()),
    kernel: release(),
    node: process.version,
    congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
    load: (loadavg()[0] ?? 0).toFixed(2),
    rounds,
    secondsEach: seconds,
    date: new Date().toISOString(),
  };
}

/** @returns the files that it wrote */
function keep(result: Report, scale: Scale | undefined): string[] {
  mkdirSync('lab-results', { recursive: true });
  const name = `lab-results/bench-${result.conditions.date}`;
  writeFileSync(
    `${name}.json`,
    `${JSON.stringify(scale ? { ...result, scale } : result, null, 2)}\n`,
  );
  if (scale === undefined) return [`${name}.json`];
  writeFileSync(`${name}.html`, renderScale(scale, result.conditions));
  return [`${name}.json`, `${name}.html`];
}

function tell(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}

/** 2 for wrong use, as everywhere; commander has said then what was wrong. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof OperatorError)) throw error;
  console.error(`bench: ${error.message}`);
  return error.exitCode;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
