// `furiwake decap`: the end of the director's tunnels on a real whose kernel has no tunnel device.
// Packets of IPIP come by a raw socket, those of GUE by a UDP socket. The inner packet goes back to
// the kernel by a raw socket too: it is to a VIP, which is an address of this host, so the kernel
// sends it round by `lo` to whoever listens, and the answer goes straight to the client.
import { createSocket } from 'node:dgram';
import { readCapabilities } from '../linux/capabilities.ts';
import { hostAddresses } from '../linux/interfaces.ts';
import { openRawSender, rawSocketProblem, receiveRaw } from '../linux/raw-socket-unsafe.ts';
import { formatIpv4, inSubnet, parseIpv4 } from '../wire/address.ts';
import { PROTOCOL_IPIP } from '../wire/tunnel.ts';
import { createRunLog } from './run-log.ts';
import { listenForSignals } from './signals.ts';
import { REFUSALS, type Refusal, type Unwrapped, unwrapGue, unwrapIpip } from './unwrap.ts';

export interface DecapOptions {
  /** Dotted IPv4 addresses, each of which this host has. */
  readonly vips: readonly string[];
  /** UDP port of GUE. */
  readonly port: number;
  readonly json: boolean;
}

export interface DecapCounts {
  ipipPackets: number;
  guePackets: number;
  deliveredPackets: number;
  deliveredBytes: number;
  /** The kernel took them not, or too many waited. */
  failedPackets: number;
  readonly refused: Record<Refusal, number>;
}

const NOT_REFUSED = Object.fromEntries(REFUSALS.map(([name]) => [name, 0]));

/**
 * Runs until SIGTERM or SIGINT.
 * @returns the exit code: 0 stopped as asked, 2 it could not start
 */
export async function runDecap(options: DecapOptions): Promise<number> {
  const log = createRunLog(options);
  const signals = listenForSignals();
  try {
    const problems = findProblems(options.vips);
    for (const problem of problems) log.problem(problem);
    if (problems.length > 0) return 2;
    const counts = emptyCounts();
    const close = await open(options, counts);
    if (typeof close === 'string') {
      log.problem(close);
      return 2;
    }
    const { vips, port } = options;
    const text = `taking ipip, and gue on UDP port ${port}, for ${vips.join(', ')}`;
    log.event('started', text, { vips, port });
    if (!signals.stop.aborted) {
      await new Promise((resolve) => signals.stop.addEventListener('abort', resolve));
    }
    close();
    log.event('summary', formatCounts(counts), { counts });
    return 0;
  } finally {
    signals.close();
  }
}

export const emptyCounts = (): DecapCounts => ({
  ...{ ipipPackets: 0, guePackets: 0, deliveredPackets: 0, deliveredBytes: 0, failedPackets: 0 },
  refused: { ...NOT_REFUSED } as Record<Refusal, number>,
});

function findProblems(vips: readonly string[]): string[] {
  const missing = rawSocketProblem();
  const local = hostAddresses();
  const isLocal = (vip: string) =>
    local.some(({ address, prefixLength }) => {
      const range = parseIpv4(address);
      return range !== undefined && inSubnet(parseIpv4(vip) ?? 0, range, prefixLength);
    });
  return [
    ...(readCapabilities().netRaw
      ? []
      : ['CAP_NET_RAW is missing: decap opens raw sockets. Run it as root, or with that']),
    ...(missing === undefined ? [] : [missing]),
    ...vips
      .filter((vip) => !isLocal(vip))
      .map(
        (vip) =>
          `the VIP ${vip} is no address of this host, so nobody here would take its packets: ` +
          `ip address add ${vip}/32 dev lo`,
      ),
  ];
}

/** Begins to take packets. @returns how to end it, or what keeps it from beginning */
async function open({ vips, port }: DecapOptions, counts: DecapCounts) {
  const allowed = new Set(vips.map((vip) => parseIpv4(vip) ?? 0));
  const udp = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  const problem = await new Promise<string | undefined>((resolve) => {
    udp.once('error', (error) => resolve(`UDP port ${port} cannot be had: ${error.message}`));
    udp.bind(port, () => resolve(undefined));
  });
  if (problem !== undefined) return problem;
  const sender = openRawSender();
  const take = (unwrapped: Unwrapped) => {
    if (!unwrapped.ok) {
      counts.refused[unwrapped.refusal]++;
      return;
    }
    const { packet, destination } = unwrapped;
    sender.send(packet, formatIpv4(destination), (error) => countSent(counts, packet, error));
  };
  const stopIpip = receiveRaw(PROTOCOL_IPIP, (packet) => {
    counts.ipipPackets++;
    take(unwrapIpip(packet, allowed));
  });
  udp.on('message', (message) => {
    counts.guePackets++;
    take(unwrapGue(message, allowed));
  });
  return () => {
    stopIpip();
    udp.close();
    sender.close();
  };
}

function countSent(counts: DecapCounts, packet: Buffer, error: Error | null): void {
  if (error !== null) {
    counts.failedPackets++;
    return;
  }
  counts.deliveredPackets++;
  counts.deliveredBytes += packet.length;
}

/** The summary in one paragraph. */
export function formatCounts(counts: DecapCounts): string {
  const { ipipPackets, guePackets, deliveredPackets, deliveredBytes, failedPackets } = counts;
  const refused = REFUSALS.filter(([name]) => counts.refused[name] > 0).map(
    ([name, why]) => `refused ${counts.refused[name]}: ${name}, ${why}`,
  );
  return [
    `took ${ipipPackets} packets of ipip and ${guePackets} of gue`,
    `gave ${deliveredPackets} to the host, ${deliveredBytes} bytes; ${failedPackets} failed`,
    ...refused,
  ].join('\n');
}
