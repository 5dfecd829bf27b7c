// The commands of `furiwake lab`. Each is a few lines here and a file of its own; what builds
// namespaces is loaded only by the command that does.
import { Argument, type Command, Option } from 'commander';
import { OperatorError } from '../src/cli/errors.ts';
import { CommandError } from './net/command.ts';
import { BREAKS } from './topologies/breaks.ts';
import { TOPOLOGIES, TOPOLOGY_NAMES } from './topologies/build.ts';
import type { TopologyName } from './topologies/topology.ts';
import { WaitError } from './wait.ts';

const TOPOLOGY_HELP = `
Topologies:
${Object.values(TOPOLOGIES)
  .map((topology) => `  ${topology.name.padEnd(16)} ${topology.summary}`)
  .join('\n')}`;

const BREAK_HELP = `
Ways to break one (--break):
${BREAKS.map((each) => `  ${each.name.padEnd(16)} ${each.topologies.join(', ')}: ${each.summary}`).join('\n')}`;

/** Adds the subcommands to `furiwake lab`; without one, it runs the demo. */
export function addLabCommands(lab: Command): void {
  lab.enablePositionalOptions();
  addDemo(lab);
  addVerify(lab);
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
    .option('--keep <dir>', 'write the captures to this directory and keep them')
    .option('--json', 'print the results as JSON')
    .action(
      reporting(async (options: { datapath: 'ring' | 'cap'; keep?: string; json?: true }) => {
        const { runDemo } = await import('./demo.ts');
        process.exitCode = await runDemo({
          datapath: options.datapath,
          keep: options.keep,
          json: options.json === true,
        });
      }),
    );
}

interface VerifyFlags {
  readonly break?: string;
  readonly datapath: 'ring' | 'cap';
  readonly keep?: string;
  readonly json?: true;
}

function addVerify(lab: Command): void {
  lab
    .command('verify')
    .description('send real traffic and prove from captures which way every packet went')
    .addArgument(topologyArgument())
    .option('--break <name>', 'set it up wrongly: verify must fail and name the cause')
    .addOption(datapathOption())
    .option('--keep <dir>', 'write the captures to this directory and keep them')
    .option('--json', 'print the claims as JSON')
    .addHelpText('after', TOPOLOGY_HELP + BREAK_HELP)
    .action(
      reporting(async (topology: TopologyName, flags: VerifyFlags) => {
        const { runVerify } = await import('./verify/run-verify.ts');
        process.exitCode = await runVerify({
          topology,
          breakName: flags.break,
          datapath: flags.datapath,
          keep: flags.keep,
          json: flags.json === true,
        });
      }),
    );
}

interface UpFlags {
  readonly break?: string;
  readonly datapath: 'ring' | 'cap';
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
    .choices(['ring', 'cap'])
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
