// The command line. Exit codes: 0 good, 1 what was asked for failed or is not so, 2 wrong use or
// wrong input. Messages go to stderr, results to stdout.
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../control/version.ts';
import { addCheckCommand } from './check.ts';
import { addDecapCommand } from './decap.ts';
import { OperatorError } from './errors.ts';
import { addLabCommand } from './lab.ts';
import { coloursFor } from './output.ts';
import { addRunCommand } from './run.ts';
import { addSchedulersCommand } from './schedulers.ts';
import { addStatusCommand } from './status.ts';

const START_HERE = `
Start here:
  furiwake lab demo                          see it work, in namespaces of its own (root)
  furiwake check --example > furiwake.yaml   a commented configuration to edit
  furiwake check                             is it good?
  furiwake run --config furiwake.yaml        be the director
  furiwake status                            what goes where, from another terminal
  furiwake decap --vip 192.0.2.10            on a real: take packets out of tunnels

Words:
  VIP        the virtual IP address that clients talk to
  service    VIP, port and protocol, with one method and one scheduler
  real       a real server behind a service
  method     how a packet reaches its real: dsr, nat, fullnat, ipip or gue
  scheduler  chooses the real of a new flow; furiwake schedulers compares them

Exit codes: 0 good, 1 what was asked for failed or is not so, 2 wrong use or wrong input.`;

function buildProgram(): Command {
  const program = new Command('furiwake')
    .description(
      'A packet-level L4 director: takes the packets of a virtual IP (VIP) from raw sockets, ' +
        'chooses a real server for each flow, and sends them on by DSR, NAT, fullnat or a tunnel.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showHelpAfterError('(--help says what is possible)')
    .configureHelp({ styleTitle: coloursFor(process.stdout).bold })
    .enablePositionalOptions()
    .exitOverride();
  addRunCommand(program);
  addCheckCommand(program);
  addStatusCommand(program);
  addSchedulersCommand(program);
  addDecapCommand(program);
  addLabCommand(program);
  return program.addHelpText('after', START_HERE);
}

/** `furiwake help lab` is what people type; it means `furiwake lab --help`. */
const asFlag = ([first, ...rest]: string[]): string[] =>
  first === 'help' ? [...rest, '--help'] : first === undefined ? [] : [first, ...rest];

/** Prints what went wrong, unless commander has done so, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const colours = coloursFor(process.stderr);
  if (error instanceof OperatorError) {
    console.error(`${colours.red('furiwake:')} ${error.message}`);
    return error.exitCode;
  }
  const stack = error instanceof Error ? error.stack : String(error);
  console.error(`${colours.red('furiwake: this is a bug:')} ${stack}`);
  return 1;
}

// `furiwake status | head` closes our output early, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await buildProgram().parseAsync(asFlag(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  process.exitCode = report(error);
}
