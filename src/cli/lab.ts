// `furiwake lab`: its commands live in lab/, beside the topologies. They are loaded only when the
// lab is asked for, so that everything else starts fast.
import type { Command } from 'commander';

export function addLabCommand(program: Command): void {
  program
    .command('lab')
    .summary('try it: a network in namespaces, real traffic, proofs from captures')
    .description(
      'Builds a small network in namespaces of its own, sends real traffic through the director, ' +
        'and proves from captures which way every packet went. Needs root.',
    );
  program.hook('preSubcommand', async (_, command) => {
    if (command.name() !== 'lab') return;
    const { addLabCommands } = await import('../../lab/cli.ts');
    addLabCommands(command);
  });
}
