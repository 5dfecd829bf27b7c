// Whether somebody who opens a capture in Wireshark is told that something is wrong with it: a file
// that is cut short, a frame that is malformed, a checksum that is bad. What Wireshark remarks on
// TCP's own life (retransmissions, a full window) is no complaint about a capture.
import { run } from '../net/command.ts';
import { whyNoLab } from '../requirements.ts';

const TIMEOUT_MS = 60_000;
const CHECKSUMS = ['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);

/** Why captures cannot be opened here, or undefined. */
export const whyNoTshark = (): string | undefined => whyNoLab(['tshark']);

/** What tshark complains of in a capture that was taken with offloads off; empty if nothing. */
export async function complaintsOf(file: string): Promise<string[]> {
  const argv = ['tshark', '-n', '-r', file, '-q', ...CHECKSUMS, '-z', 'expert,warn'];
  const output = await run(argv, { onFailure: 'return', timeoutMs: TIMEOUT_MS });
  const lines = readExpert(output.stdout);
  if (output.exitCode === 0) return lines;
  const said = output.stderr.split('\n').filter((line) => line !== '' && !ROOT.test(line));
  return [
    ...lines,
    `tshark ended with ${output.exitCode}: ${said.join('; ') || 'it said nothing'}`,
  ];
}

/** It always says so when root runs it. */
const ROOT = /^Running as user /;

/**
 * 0xffff and 0 are the same number in ones' complement. Linux itself sends such TCP checksums now
 * and then, and every receiver takes them.
 */
const OTHER_ZERO = /0xffff instead of 0x0000/;

/**
 * What the lab speaks. What else tshark takes a payload for, it guesses, by the port or by the
 * first bytes: files of random bytes are told that they are no good Thrift.
 */
const SPOKEN = /^(Ethernet|ARP|IPv4|IPv6|ICMP|ICMPv6|TCP|UDP|GUE|HTTP)$/i;

/** Of the tables `Errors (3)`, `Warns (1)`: rows of frequency, group, protocol and summary. */
export function readExpert(text: string): string[] {
  let severity = '';
  const found: string[] = [];
  for (const line of text.split('\n')) {
    severity = /^(\w+) \(\d+\)$/.exec(line)?.[1] ?? severity;
    const row = /^\s+(\d+)\s+(\S+)\s+(\S+)\s+(.*)$/.exec(line);
    if (row === null) continue;
    const [, frequency, group = '', protocol = '', summary = ''] = row;
    if (severity !== 'Errors' && group !== 'Malformed' && group !== 'Checksum') continue;
    if (OTHER_ZERO.test(summary) || !SPOKEN.test(protocol)) continue;
    found.push(`${protocol}: ${summary} (${frequency} frames)`);
  }
  return found;
}
