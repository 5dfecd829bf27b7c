// Whether something listens on a host: the condition that a server's start is waited for with.
import type { Lab } from '../net/lab.ts';

export async function isListening(
  lab: Lab,
  host: string,
  protocol: 'tcp' | 'udp',
  port: number,
): Promise<boolean> {
  const kind = protocol === 'tcp' ? '-t' : '-u';
  const { stdout } = await lab.exec(host, ['ss', '-Hln', kind, `sport = :${port}`]);
  return stdout.trim() !== '';
}
