// `furiwake lab`: everything in one go. Both topologies are drawn, built and proved from captures,
// then DSR and NAT are measured in turns, and one table closes it. Good only if every claim holds
// and captures confirm the counters.
import { join } from 'node:path';
import { type Colours, coloursFor, left, right, table } from '../src/cli/output.ts';
import type { DatapathName } from '../src/config/config.ts';
import { requireLab } from './requirements.ts';
import { keepFile, makeResultsDirectory } from './results-directory.ts';
import { gigabits, renderThroughput, share } from './throughput/render.ts';
import { measureThroughput, type ThroughputResult } from './throughput/run-throughput.ts';
import { METHODS, type Method, perDeliveredByte } from './throughput/summary.ts';
import { renderVerification } from './verify/render.ts';
import { type Verification, verifyTopology } from './verify/run-verify.ts';

export interface DemoOptions {
  readonly datapath: DatapathName;
  readonly json: boolean;
  /** Where captures and figures go; `lab-results/TIME-demo` unless given. */
  readonly keep?: string | undefined;
}

export interface DemoResult {
  /** True if every claim holds and captures confirm the counters. */
  readonly good: boolean;
  readonly directory: string;
  readonly verifications: Readonly<Record<Method, Verification>>;
  readonly throughput: ThroughputResult;
}

const MEASURED = { seconds: 2, rounds: 3 } as const;
/** Frames that a recorder loses on a busy machine leave claims open: then it is done again. */
const ATTEMPTS = 3;

const TITLES: Readonly<Record<Method | 'throughput', string>> = {
  dsr: '1 of 3  DSR: which way every packet goes, about 10 s',
  nat: '2 of 3  NAT: which way every packet goes, about 10 s',
  throughput: '3 of 3  Throughput of both, and what crosses the director, about 50 s',
};

/** Runs the command. Resolves with its exit code: 0 if all is good, else 1. */
export async function runDemo(options: DemoOptions): Promise<number> {
  requireLab();
  const directory = makeResultsDirectory('demo', options.keep);
  const colours = coloursFor(process.stdout);
  const say = options.json ? () => {} : (line: string) => console.log(line);
  const verify = async (method: Method) => {
    say(`${colours.inverse(` ${TITLES[method]} `)}\n`);
    const keep = join(directory, `verify-${method}`);
    const result = await verifyWhole({ topology: method, datapath: options.datapath, keep }, say);
    say(`\n${renderVerification(result, colours)}\n`);
    return result;
  };
  const verifications = { dsr: await verify('dsr'), nat: await verify('nat') };
  say(`${colours.inverse(` ${TITLES.throughput} `)}\n`);
  const figures = makeResultsDirectory('throughput', join(directory, 'throughput'));
  const throughput = await measureThroughput({ ...options, ...MEASURED }, figures);
  const holds = METHODS.every((method) => verifications[method].holds);
  const good = holds && throughput.confirmed;
  const result: DemoResult = { good, directory, verifications, throughput };
  keepFile(join(directory, 'demo.json'), `${JSON.stringify(result, null, 2)}\n`);
  say(`\n${renderThroughput(throughput, colours)}\n\n${renderClosing(result, colours)}`);
  if (options.json) console.log(JSON.stringify(result));
  return good ? 0 : 1;
}

async function verifyWhole(
  options: Parameters<typeof verifyTopology>[0],
  say: (line: string) => void,
): Promise<Verification> {
  for (let attempt = 1; ; attempt++) {
    const result = await verifyTopology(options, say);
    const failed = result.claims.some(({ verdict }) => verdict === 'fails');
    const proved = result.holds || failed || result.damage === null;
    if (proved || attempt === ATTEMPTS) return result;
    say(`\n${result.damage}\nCaptures must be whole to prove what is not there: once more\n`);
  }
}

/** One line a method: what was proved, how fast it is, what the director carries for it. */
export function renderClosing(result: DemoResult, colours: Colours): string {
  const { verifications, throughput, directory, good } = result;
  const columns = [
    ...[left('method'), right('claims hold'), right('upload'), right('download')],
    ...[right('director up'), right('down'), left('counters'), left('captures')],
  ];
  const rows = METHODS.map((method) => {
    const { claims, holds } = verifications[method];
    const held = claims.filter(({ verdict }) => verdict === 'holds').length;
    const paint = holds ? colours.green : colours.red;
    const kinds = throughput.summary.rows.filter((row) => row.method === method);
    const own = throughput.confirmations.filter((each) => each.method === method);
    const confirmed = own.every(({ verdict }) => verdict === 'confirmed');
    return [
      ...[colours.bold(method), paint(`${held} of ${claims.length}`)],
      ...kinds.map((row) => `${gigabits(row.bitsPerSecond.median)} Gbit/s`),
      ...kinds.map((row) => share(perDeliveredByte(row).in)),
      confirmed ? colours.green('confirmed') : colours.red('unconfirmed'),
      `verify-${method}/`,
    ];
  });
  const words = good
    ? colours.green('Every claim holds, and captures confirm the counters.')
    : colours.red('Not all is good: see above.');
  return [
    colours.inverse(' Result '),
    '',
    table(columns, rows, colours),
    colours.dim(
      'director: bytes that it received for each byte that was delivered, up- and download',
    ),
    '',
    words,
    `Captures and figures: ${directory}/`,
  ].join('\n');
}
