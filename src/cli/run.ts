// `furiwake run`: the director itself, in the foreground, until SIGTERM or SIGINT. The daemon is
// loaded only here, because it loads native code that the other commands do not need.
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { listenForSignals } from '../control/signals.ts';
import { invalidConfig } from './errors.ts';

interface RunOptions {
  readonly config: string;
  readonly json?: true;
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .summary('run the director in the foreground')
    .description(
      'Runs the director in the foreground until SIGTERM or SIGINT; SIGHUP reads the file again. ' +
        'Needs CAP_NET_RAW; with CAP_NET_ADMIN it also keeps the kernel of this host away from ' +
        'the frames of its VIPs.',
    )
    .requiredOption('-c, --config <file>', 'the configuration file')
    .option('--json', 'log and summarise in JSON, one object a line')
    .addHelpText(
      'after',
      `
Examples:
  furiwake run --config furiwake.yaml

With CAP_NET_RAW alone, as another user (\`socket:\` must be where that user may create it):
  setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=+net_raw \\
    --ambient-caps=+net_raw furiwake run --config furiwake.yaml

Exit codes: 0 stopped as asked, 1 it had to give up, 2 it could not start as configured.`,
    )
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  const signals = listenForSignals();
  try {
    const result = loadConfig(options.config);
    if (!result.ok) throw invalidConfig(options.config, result.problems);
    const { runDirector } = await import('../control/daemon.ts');
    process.exitCode = await runDirector(result.config, { json: options.json === true, signals });
  } finally {
    signals.close();
  }
}
