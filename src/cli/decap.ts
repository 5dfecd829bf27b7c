// `furiwake decap`: takes the director's tunnel packets on a real, in the foreground. Its work is
// loaded only here, because it loads native code that the other commands do not need.
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { plainVip } from '../config/listening.ts';
import { DEFAULT_TUNNEL_PORT } from '../config/schema.ts';

interface DecapCommandOptions {
  readonly vip: readonly string[];
  readonly port: number;
  readonly json?: true;
}

export function addDecapCommand(program: Command): void {
  program
    .command('decap')
    .summary('take packets out of tunnels, on a real')
    .description(
      'Takes the packets that a director sends by the methods ipip and gue, and gives what is in ' +
        'them to this host: for reals whose kernel has no tunnel device. Runs in the foreground ' +
        'until SIGTERM or SIGINT. Needs CAP_NET_RAW and the optional package raw-socket.',
    )
    .requiredOption('--vip <address...>', 'VIPs, each an address of this host', collectVips)
    .option('--port <number>', 'UDP port of gue', parsePort, DEFAULT_TUNNEL_PORT)
    .option('--json', 'log and summarise in JSON, one object a line')
    .addHelpText(
      'after',
      `
Examples, on a real:
  ip address add 192.0.2.10/32 dev lo
  furiwake decap --vip 192.0.2.10

  ip address add 2001:db8::10/128 dev lo
  furiwake decap --vip 192.0.2.10 2001:db8::10

Packets of both families come out of tunnels of both. The answers leave by this host's own route to
the client, with the VIP as their source. If net.ipv4.conf.*.rp_filter is 1, the route to the
tunnel's source addresses must lead back to the interface that the tunnel packets come in on.

Exit codes: 0 stopped as asked, 2 it could not start.`,
    )
    .action(run);
}

function collectVips(text: string, before: readonly string[] | undefined): string[] {
  if (isIP(text) === 0 || text.includes('%')) {
    throw new InvalidArgumentError('allowed: an address, such as 192.0.2.10 or 2001:db8::10');
  }
  return [...(before ?? []), plainVip(text)];
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new InvalidArgumentError('allowed: a whole number from 1 to 65535');
  }
  return port;
}

async function run({ vip, port, json }: DecapCommandOptions): Promise<void> {
  const { runDecap } = await import('../control/decap.ts');
  process.exitCode = await runDecap({ vips: vip, port, json: json === true });
}
