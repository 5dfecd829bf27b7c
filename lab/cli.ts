// The commands of `furiwake lab`. Each is a few lines here and a file of its own; what builds
// namespaces is loaded only by the command that does.
import { Argument, type Command, Option } from 'commander';
import { OperatorError } from '../src/cli/errors.ts';
import { wrap } from '../src/cli/output.ts';
import type { DatapathName } from '../src/config/config.ts';
import { CommandError } from './net/command.ts';
import { UsageError } from './requirements.ts';
import { BREAKS, type Break } from './topologies/breaks.ts';
import { TOPOLOGIES, TOPOLOGY_NAMES } from './topologies/build.ts';
import type { TopologyName } from './topologies/topology.ts';
import { WaitError } from './wait.ts';
import { wholeNumber } from './whole-number.ts';

/** A name and what it means, in lines that fit; letters keep the name's room in the first one. */
function explained(name: string, meaning: string): string {
  const head = `  ${name.padEnd(16)} `;
  const room = head.length;
  return head + wrap('x'.repeat(room) + meaning, ' '.repeat(room)).slice(room);
}

const TOPOLOGY_HELP = ['', 'Topologies:']
  .concat(Object.values(TOPOLOGIES).map(({ name, summary }) => explained(name, summary)))
  .join('\n');

const BREAK_HELP = ['', '', 'Ways to break one (--break):']
  .concat(BREAKS.map((each) => explained(each.name, meaningOf(each))))
  .join('\n');

function meaningOf({ topologies, summary }: Break): string {
  return `${topologies.join(', ')}: ${summary}`;
}

/** Adds the subcommands to `furiwake lab`; without one, it runs the demo. */
export function addLabCommands(lab: Command): void {
  lab.enablePositionalOptions().helpCommand(false);
  addDemo(lab);
  addVerify(lab);
  addThroughput(lab);
  addCompare(lab);
  addSoak(lab);
  addReport(lab);
  addUp(lab);
  addShell(lab);
  addList(lab);
  addDown(lab);
}

function addDemo(lab: Command): void {
  lab
    .command('demo', { isDefault: true })
    .description('build both topologies, prove the ways of all packets, measure, print a table')
    .addOption(datapathOption())
    .option('--keep <dir>', 'where the captures go (default: lab-results/)')
    .option('--json', 'print the results as JSON')
    .allowExcessArguments()
    .action(reporting(demo));
}

interface DemoFlags {
  readonly datapath: DatapathName;
  readonly keep?: string;
  readonly json?: true;
}

async function demo(flags: DemoFlags, command: Command): Promise<void> {
  // The demo is the default, so a mistyped command arrives here as its argument.
  const [mistyped] = command.args;
  if (mistyped !== undefined) {
    const names = command.parent!.commands.map((each) => each.name());
    throw new UsageError(`lab: found command ${mistyped}; allowed: ${names.join(', ')}`);
  }
  const { runDemo } = await import('./demo.ts');
  const { datapath, keep, json } = flags;
  process.exitCode = await runDemo({ datapath, keep, json: json === true });
}

interface VerifyFlags {
  readonly break?: string;
  readonly datapath: DatapathName;
  readonly keep?: string;
  readonly quick?: true;
  readonly from?: string;
  readonly json?: true;
}

function addVerify(lab: Command): void {
  lab
    .command('verify')
    .description('send real traffic and prove from captures which way every packet went')
    .addArgument(topologyArgument().argOptional())
    .option('--break <name>', 'set it up wrongly: verify must fail and name the cause')
    .addOption(datapathOption())
    .option('--keep <dir>', 'where the captures go (default: lab-results/TIME-verify-TOPOLOGY)')
    .option('--quick', 'one phase, with offloads on by ring, and less traffic in it')
    .option('--from <dir>', 'judge captures that an earlier run kept; needs no lab and no root')
    .option('--json', 'print the claims as JSON')
    .addHelpText('after', TOPOLOGY_HELP + BREAK_HELP)
    .action(reporting(verify));
}

async function verify(topology: TopologyName | undefined, flags: VerifyFlags): Promise<void> {
  const { runVerify, runVerifyFrom } = await import('./verify/run-verify.ts');
  const json = flags.json === true;
  if ((topology === undefined) === (flags.from === undefined)) {
    throw new UsageError(`allowed: either a topology (${TOPOLOGY_NAMES.join(', ')}) or --from`);
  }
  if (topology === undefined) {
    process.exitCode = await runVerifyFrom(flags.from!, { json });
    return;
  }
  const { break: breakName, datapath, keep, quick } = flags;
  process.exitCode = await runVerify({ topology, breakName, datapath, keep, quick, json });
}

interface ThroughputFlags {
  readonly seconds: number;
  readonly rounds: number;
  readonly datapath: DatapathName;
  readonly keep?: string;
  readonly json?: true;
}

function addThroughput(lab: Command): void {
  lab
    .command('throughput')
    .description('measure DSR and NAT by iperf3, and count what crosses the director for it')
    .option('--seconds <n>', 'how long each transfer lasts', wholeNumber(3600), 3)
    .option('--rounds <n>', 'how often each is measured', wholeNumber(1000), 3)
    .addOption(datapathOption())
    .option('--keep <dir>', 'where the captures go (default: lab-results/)')
    .option('--json', 'print the results as JSON')
    .action(
      reporting(async (flags: ThroughputFlags) => {
        const { runThroughput } = await import('./throughput/run-throughput.ts');
        process.exitCode = await runThroughput({ ...flags, json: flags.json === true });
      }),
    );
}

interface SoakFlags {
  readonly minutes: number;
  readonly interval: number;
  readonly keep?: string;
  readonly json?: true;
}

function addSoak(lab: Command): void {
  lab
    .command('soak')
    .description('send long traffic: rates, latency, memory, flows and drops over time')
    .addArgument(new Argument('[method]', 'both in turn unless given').choices(['dsr', 'nat']))
    .option('--minutes <n>', 'how long each method is soaked', wholeNumber(100_000), 10)
    .option('--interval <s>', 'seconds from point to point', wholeNumber(3600), 10)
    .option('--keep <dir>', 'where soak.json goes (default: lab-results/TIME-soak)')
    .option('--json', 'print all points as JSON at the end')
    .action(
      reporting(async (method: 'dsr' | 'nat' | undefined, flags: SoakFlags) => {
        const { runSoak } = await import('./commands/soak.ts');
        const { minutes, interval: intervalSeconds, keep } = flags;
        const options = { method, seconds: minutes * 60, intervalSeconds, keep };
        process.exitCode = await runSoak({ ...options, json: flags.json === true });
      }),
    );
}

function addReport(lab: Command): void {
  lab
    .command('report')
    .description('draw the page of a comparison again from the file that it kept')
    .argument('<file>', 'its compare.json')
    .option('--out <file>', 'where the page goes (default: report.html beside it)')
    .action(
      reporting(async (file: string, flags: { out?: string }) => {
        const { runReport } = await import('./commands/report.ts');
        runReport({ file, out: flags.out });
      }),
    );
}

interface CompareFlags {
  readonly quick?: true;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly paths?: readonly string[];
  readonly measures?: readonly string[];
  readonly sql: boolean;
  readonly cache: boolean;
  readonly soak?: number;
  readonly keep?: string;
  readonly json?: true;
}

const listOf = (text: string): string[] => text.split(',').map((each) => each.trim());

function addCompare(lab: Command): void {
  lab
    .command('compare')
    .description('measure DSR, NAT, no balancer and the peers in turns; draw a page with pictures')
    .option('--quick', 'end within two minutes: fewer paths, measures, rounds and points')
    .option('--rounds <n>', 'how often each is measured (default: 5)', wholeNumber(1000))
    .option('--seconds <n>', 'how long each sample lasts (default: 3)', wholeNumber(3600))
    .option('--paths <names>', 'which paths, such as none,furiwake-dsr-ring,haproxy', listOf)
    .option('--measures <names>', 'which measures, such as download,packets', listOf)
    .option('--no-sql', 'without the SQL workload')
    .option('--no-cache', 'without the cache workload')
    .option('--soak <minutes>', 'then soak DSR and NAT for so long each', wholeNumber(10_000))
    .option('--keep <dir>', 'where everything goes (default: lab-results/TIME-compare)')
    .option('--json', 'print the results as JSON')
    .action(
      reporting(async (flags: CompareFlags) => {
        const { runCompare } = await import('./compare/run-compare.ts');
        const { quick, soak, json, ...rest } = flags;
        process.exitCode = await runCompare({
          ...rest,
          quick: quick === true,
          soakMinutes: soak ?? 0,
          json: json === true,
        });
      }),
    );
}

interface UpFlags {
  readonly break?: string;
  readonly datapath: DatapathName;
  readonly director: boolean;
}

function addUp(lab: Command): void {
  lab
    .command('up')
    .description('hold a lab in the foreground and look around in it from another terminal')
    .addArgument(topologyArgument())
    .option('--break <name>', 'set it up wrongly')
    .addOption(datapathOption())
    .option('--no-director', 'leave the director out, to run one by hand')
    .addHelpText('after', TOPOLOGY_HELP + BREAK_HELP)
    .action(
      reporting(async (topology: TopologyName, flags: UpFlags) => {
        const { runUp } = await import('./commands/up.ts');
        const { datapath, director: withDirector, break: breakName } = flags;
        await runUp({ topology, datapath, withDirector, breakName });
      }),
    );
}

function addShell(lab: Command): void {
  lab
    .command('shell')
    .description('open a shell on a host of a lab that is up, or run one command there')
    .argument('<host>', 'for example client, director, r1, switch')
    .argument('[command...]', 'what to run instead of a shell')
    .option('--lab <id>', 'which lab, if several are up')
    .passThroughOptions()
    .action(
      reporting(async (host: string, command: string[], flags: { lab?: string }) => {
        const { runShell } = await import('./commands/shell.ts');
        process.exitCode = await runShell({ host, command, labId: flags.lab });
      }),
    );
}

function addList(lab: Command): void {
  lab
    .command('list')
    .description('show labs, their hosts, and whether their owner lives')
    .option('--json', 'print it as JSON')
    .action(
      reporting(async (flags: { json?: true }) => {
        const { runList } = await import('./commands/list.ts');
        runList({ json: flags.json === true });
      }),
    );
}

function addDown(lab: Command): void {
  lab
    .command('down')
    .description('end a lab, and sweep what dead owners left')
    .argument('[id]', 'which lab, if several are up')
    .action(
      reporting(async (id: string | undefined) => {
        const { runDown } = await import('./commands/down.ts');
        await runDown(id);
      }),
    );
}

function topologyArgument(): Argument {
  return new Argument('<topology>', 'what to build').choices(TOPOLOGY_NAMES);
}

function datapathOption(): Option {
  return new Option('--datapath <name>', "the director's datapath")
    .choices(['ring', 'tc', 'cap'])
    .default('ring');
}

/** A program of the lab that failed, and a wait in vain, are failures of the lab and no bugs. */
function reporting<Arguments extends unknown[]>(action: (...args: Arguments) => Promise<void>) {
  return async (...args: Arguments): Promise<void> => {
    try {
      await action(...args);
    } catch (error) {
      if (error instanceof CommandError || error instanceof WaitError) {
        throw new OperatorError(error.message, 1);
      }
      throw error;
    }
  };
}
