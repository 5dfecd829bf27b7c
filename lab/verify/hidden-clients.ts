// Who the client of a packet is. By fullnat a real sees an address and port of the source pool in
// its place, so beyond the director the packet alone does not say. What the director got and what
// it sent are the same packet but for addresses and ports: that is how a pool port gets its client,
// and a reply to that port, at the same point, belongs to the client that came from it last.
import { formatEndpoint } from '../../src/config/endpoint.ts';
import { type CaptureSet, hostsOf, vipsOf } from './captures.ts';
import type { Frame, Packet } from './dissect.ts';

interface Client {
  readonly address: string;
  readonly port: number;
}

/** Gives the packet of a frame as it would be with its true client; of one point, in order. */
export type Unmask = (frame: Frame) => Packet | undefined;

/**
 * Makes an `Unmask` for each point.
 * @param identityOf what stays the same of a packet on its whole way
 */
export function unmaskersFor(set: CaptureSet, identityOf: (frame: Frame) => string): () => Unmask {
  const pool = set.manifest.sourcePool?.addresses ?? [];
  if (pool.length === 0) return () => (frame) => frame.packet;
  const clientOf = clientsAtDirector(set, identityOf);
  return () => {
    const latest = new Map<string, Client>();
    return (frame) => {
      const { packet } = frame;
      if (packet === undefined) return undefined;
      if (pool.includes(packet.source)) {
        const key = keyOf(packet.protocol, packet.source, packet.sourcePort);
        const client = clientOf.get(identityOf(frame)) ?? latest.get(key);
        if (client === undefined) return packet;
        latest.set(key, client);
        return { ...packet, source: client.address, sourcePort: client.port };
      }
      const key = keyOf(packet.protocol, packet.destination, packet.destinationPort);
      const client = pool.includes(packet.destination) ? latest.get(key) : undefined;
      if (client === undefined) return packet;
      return { ...packet, destination: client.address, destinationPort: client.port };
    };
  };
}

const keyOf = (protocol: number, address: string, port: number) =>
  `${protocol} ${formatEndpoint(address, port)}`;

/** By identity: the client of each packet to a VIP that the director's links saw. */
function clientsAtDirector(
  { manifest, captures }: CaptureSet,
  identityOf: (frame: Frame) => string,
): Map<string, Client> {
  const vips = vipsOf(manifest);
  const directors = hostsOf(manifest, 'director').map((host) => host.name);
  const clients = new Map<string, Client>();
  for (const { point, frames } of captures) {
    if (!directors.includes(point.host)) continue;
    for (const frame of frames) {
      const { packet } = frame;
      if (packet === undefined || !vips.includes(packet.destination)) continue;
      clients.set(identityOf(frame), { address: packet.source, port: packet.sourcePort });
    }
  }
  return clients;
}
