// Commands on the director's host, run from the very text that the report shows.
import type { Lab } from '../../net/lab.ts';
import { directorOf, type Topology } from '../../topologies/topology.ts';
import type { ConfigFile } from '../result.ts';

/** Runs a shell script on the host `director`; the first command that fails ends it. */
export async function runScript(
  lab: Lab,
  { text, source }: Pick<ConfigFile, 'text' | 'source'>,
): Promise<ConfigFile> {
  await lab.exec('director', ['sh', '-e'], { input: text });
  return { name: 'director.sh', text, source };
}

/** The client must find the VIP by ARP, and the director's kernel answers for what it has. */
export const addVipCommand = (topology: Topology): string =>
  `ip address add ${topology.vip}/32 dev ${directorOf(topology).arms[0]!.name}\n`;
