// A good file, and how to make a bad one of it: by exchanging a line.
import { parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

export const GOOD = [
  'interfaces: [eth0, eth1]',
  'datapath: ring',
  'services:',
  '  web:',
  '    vip: 192.0.2.10',
  '    port: 80',
  '    method: dsr',
  '    scheduler: maglev',
  '    reals:',
  '      - 192.0.2.21',
  '      - { address: 192.0.2.22, weight: 2, name: r2 }',
  '  dns:',
  '    vip: 192.0.2.53',
  '    port: 53',
  '    protocol: udp',
  '    method: nat',
  '    reals: [{ address: 198.51.100.11, port: 5353, interface: eth1 }]',
];

/** The good file with line `line` (from 1) replaced by what is given. */
export const withLine = (line: number, ...replacement: string[]): string =>
  GOOD.toSpliced(line - 1, 1, ...replacement).join('\n');

export function problemsOf(text: string): string[] {
  const result = parseConfig(text, 'f.yaml');
  return result.ok ? [] : result.problems.map(formatProblem);
}
