// What reaches the hosts of receivers, whatever these make of it: a program that is not run for a
// tenth of a second, on a machine that others share, loses datagrams at its own full socket.
import type { Lab } from '../../lab/net/lab.ts';

/** How many datagrams the kernels of some hosts have put together from fragments so far. */
export async function reassembled(
  lab: Lab,
  hosts: readonly { readonly name: string }[],
  family: 4 | 6,
): Promise<number> {
  const counts = await Promise.all(hosts.map(({ name }) => reassembledAt(lab, name, family)));
  return counts.reduce((left, right) => left + right);
}

async function reassembledAt(lab: Lab, host: string, family: 4 | 6): Promise<number> {
  const file = family === 4 ? 'snmp' : 'snmp6';
  const { stdout } = await lab.exec(host, ['cat', `/proc/net/${file}`]);
  const count = family === 4 ? ipv4Count(stdout) : /^Ip6ReasmOKs\s+(\d+)$/m.exec(stdout)?.[1];
  if (count === undefined) throw new Error(`no count of reassembled datagrams in ${file}`);
  return Number(count);
}

/** The table has a line of names and a line of numbers. */
function ipv4Count(table: string): string | undefined {
  const [names = [], numbers = []] = table
    .split('\n')
    .filter((line) => line.startsWith('Ip: '))
    .map((line) => line.split(' '));
  return numbers[names.indexOf('ReasmOKs')];
}
