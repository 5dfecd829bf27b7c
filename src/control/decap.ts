// `furiwake decap`: the end of the director's tunnels on a real whose kernel has no tunnel device.
// Packets of IPIP come by a raw socket, those of GUE by a UDP socket. The inner packet goes back to
// the kernel by a raw socket too: it is to a VIP, which is an address of this host, so the kernel
// sends it round by `lo` to whoever listens, and the answer goes straight to the client. Each
// family may come within the other.
import { createSocket, type Socket } from 'node:dgram';
import { holdsVip } from '../config/listening.ts';
import { readCapabilities } from '../linux/capabilities.ts';
import { hostAddresses } from '../linux/interfaces.ts';
import { openRawSender, rawSocketProblem, receiveRaw } from '../linux/raw-socket-unsafe.ts';
import { PROTOCOL_IPIP, PROTOCOL_IPV6 } from '../wire/tunnel.ts';
import { createRunLog } from './run-log.ts';
import { listenForSignals } from './signals.ts';
import {
  REFUSALS,
  type Refusal,
  type Unwrapped,
  unwrapGue,
  unwrapIpip,
  unwrapIpip6,
} from './unwrap.ts';

export interface DecapOptions {
  /** Addresses, each of which this host has. */
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
    local.some(({ address, prefixLength }) => holdsVip(`${address}/${prefixLength}`, vip));
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
          `ip address add ${vip}/${vip.includes(':') ? 128 : 32} dev lo`,
      ),
  ];
}

/** Begins to take packets. @returns how to end it, or what keeps it from beginning */
async function open({ vips, port }: DecapOptions, counts: DecapCounts) {
  const allowed = new Set(vips);
  const sockets: Socket[] = [];
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = await openUdp(type, port);
    if (typeof socket === 'string') {
      for (const each of sockets) each.close();
      return socket;
    }
    if (socket !== undefined) sockets.push(socket);
  }
  const families = FAMILIES.slice(0, sockets.length);
  const senders = families.map(openRawSender);
  const take = (unwrapped: Unwrapped) => {
    if (!unwrapped.ok) {
      counts.refused[unwrapped.refusal]++;
      return;
    }
    const { packet, destination } = unwrapped;
    const sender = senders[destination.includes(':') ? 1 : 0];
    sender?.send(packet, destination, (error) => countSent(counts, packet, error));
  };
  const stops = families.flatMap((family) =>
    [PROTOCOL_IPIP, PROTOCOL_IPV6].map((protocol) =>
      receiveRaw(protocol, family, (packet) => {
        counts.ipipPackets++;
        take((family === 4 ? unwrapIpip : unwrapIpip6)(packet, allowed));
      }),
    ),
  );
  for (const socket of sockets) {
    socket.on('message', (message) => {
      counts.guePackets++;
      take(unwrapGue(message, allowed));
    });
  }
  return () => {
    for (const stop of stops) stop();
    for (const each of [...sockets, ...senders]) each.close();
  };
}

const FAMILIES = [4, 6] as const;

/** A socket, or what keeps it from being had; undefined on a host without IPv6, for that family. */
function openUdp(type: 'udp4' | 'udp6', port: number): Promise<Socket | string | undefined> {
  const socket = createSocket({
    ...{ type, ipv6Only: type === 'udp6', recvBufferSize: 4 * 1024 * 1024 },
  });
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const isAbsent = type === 'udp6' && error.code === 'EAFNOSUPPORT';
      resolve(isAbsent ? undefined : `UDP port ${port} cannot be had: ${error.message}`);
    });
    socket.bind(port, () => resolve(socket));
  });
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
