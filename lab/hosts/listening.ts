// Whether something listens on a host: the condition that a server's start is waited for with.
import type { Lab } from '../net/lab.ts';
import { inUrl } from '../topologies/topology.ts';

export async function isListening(
  lab: Lab,
  host: string,
  protocol: 'tcp' | 'udp',
  port: number,
  /** That the server is bound to; any unless given. */
  address?: string,
): Promise<boolean> {
  const kind = protocol === 'tcp' ? '-t' : '-u';
  const where = address === undefined ? `sport = :${port}` : `src ${inUrl(address)}:${port}`;
  const { stdout } = await lab.exec(host, ['ss', '-Hln', kind, where]);
  return stdout.trim() !== '';
}
