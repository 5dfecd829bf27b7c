// Captures that no lab made: packets sent along the ways of DSR, NAT and tunnels, frame by frame,
// written as pcap files with a manifest, so that verify judges them as it judges a kept directory.
// A test spoils one hop and sees what verify says.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { arpFrame, icmpEchoFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import { createPcapWriter } from '../../lab/pcap/write-pcap.ts';
import { TOPOLOGIES } from '../../lab/topologies/build.ts';
import {
  addressOf,
  answersDirectly,
  clientOf,
  directorOf,
  hostNamed,
  isTunnel,
  type Topology,
  type TopologyName,
} from '../../lab/topologies/topology.ts';
import { loadCaptures, type Manifest, type TrafficReport } from '../../lab/verify/captures.ts';
import type { Claim } from '../../lab/verify/claim.ts';
import { judge } from '../../lab/verify/claims.ts';
import { manifestOf, tapsOf } from '../../lab/verify/points.ts';
import { inTunnel } from './in-tunnel.ts';

export const ACK = 0x10;
export const SYN = 0x02;
export const FIN = 0x01;
export const RST = 0x04;
export const PSH = 0x08;

/** Where a frame is seen, in the order of its way; replies of NAT pass all of the second line. */
export type Hop =
  | 'client-out' | 'director-in' | 'director-out' | 'real-in'
  | 'real-out' | 'director-back-in' | 'director-back-out' | 'client-in'; // biome-ignore format: two lines

export interface Segment {
  readonly protocol: 'tcp' | 'udp';
  readonly way: 'request' | 'reply';
  readonly clientPort: number;
  readonly port: number;
  readonly real: string;
  readonly id: number;
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly payload: Uint8Array;
  readonly partial: boolean;
}

/** What a test does to the frames at a hop: change, or lose (undefined) with all that follows. */
export type Spoil = (hop: Hop, segment: Segment, bytes: Uint8Array) => Uint8Array | undefined;

type FrameFields = Parameters<typeof tcpFrame>[0];

const PAYLOAD_REQUEST = new TextEncoder().encode('GET /1KiB HTTP/1.1\r\nHost: web\r\n\r\n');

export class Scene {
  readonly topology: Topology;
  readonly files = new Map<string, Uint8Array[]>();
  readonly cut = new Set<Uint8Array>();
  lostFrames: Record<string, number> = {};
  offloads: 'on' | 'off' = 'on';
  /** What the programs said; undefined as in a manifest without it. */
  traffic: TrafficReport | undefined;
  spoil: Spoil = (_hop, _segment, bytes) => bytes;
  /** Overrides fields of frames at a hop, before they are built. */
  fields: (hop: Hop, segment: Segment) => Partial<FrameFields> = () => ({});
  /** The real that a tunnel leads to at a hop. */
  endFor: (hop: Hop, segment: Segment) => string = (_hop, { real }) => real;
  #id = 100;

  constructor(name: TopologyName, topology: Topology = TOPOLOGIES[name]) {
    this.topology = topology;
    for (const { point } of tapsOf(topology, { offloads: 'on' })) this.files.set(point.file, []);
  }

  record(file: string, bytes: Uint8Array): void {
    const frames = this.files.get(file);
    if (frames === undefined) throw new Error(`no point ${file}: ${[...this.files.keys()]}`);
    frames.push(bytes);
  }

  get clientAddress(): string {
    return addressOf(clientOf(this.topology));
  }

  mac(host: string, arm = 0): string {
    return hostNamed(this.topology, host).arms[arm]!.mac;
  }

  /** The director's arms towards client and reals; one and the same in DSR. */
  get armMacs(): readonly [string, string] {
    const { arms } = directorOf(this.topology);
    return [arms[0]!.mac, arms.at(-1)!.mac];
  }

  /** The client asks who has the VIP; `owners` answer. */
  arp(owners: readonly string[] = ['director']): void {
    const { vip } = this.topology;
    const client = this.mac('client');
    const common = { senderAddress: this.clientAddress, targetAddress: vip };
    const ask = { sourceMac: client, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: 1, ...common };
    this.record('client.pcap', arpFrame(ask));
    this.record('director-eth0.pcap', arpFrame(ask));
    for (const owner of owners) {
      const answer = arpFrame({
        sourceMac: this.mac(owner),
        destinationMac: client,
        operation: 2,
        senderAddress: vip,
        targetMac: client,
        targetAddress: this.clientAddress,
      });
      this.record(owner === 'director' ? 'director-eth0.pcap' : `${owner}.pcap`, answer);
      this.record('client.pcap', answer);
    }
  }

  /** r1 asks for an address of the source pool, and `owner` answers. */
  claimPool(owner: string): void {
    const client = this.mac('r1');
    const targetAddress = addressOf(hostNamed(this.topology, 'r1'));
    const answer = arpFrame({
      ...{ sourceMac: this.mac(owner), destinationMac: client, operation: 2 },
      senderAddress: this.topology.sourcePool?.addresses[0] ?? '',
      ...{ targetMac: client, targetAddress },
    });
    for (const host of [owner, 'r1']) this.record(`${host}.pcap`, answer);
  }

  /** The director asks for a real's MAC address, and nobody answers. */
  askForReal(real: string): void {
    const arm = directorOf(this.topology).arms.at(-1)!;
    const ask = arpFrame({
      sourceMac: arm.mac,
      destinationMac: 'ff:ff:ff:ff:ff:ff',
      operation: 1,
      senderAddress: arm.address,
      targetAddress: addressOf(hostNamed(this.topology, real)),
    });
    this.record(`director-${arm.name}.pcap`, ask);
  }

  /** A NAT request that the real answers on an arm of its own, straight to the client. */
  goAround(real: string, clientPort: number): void {
    const before = { fields: this.fields, spoil: this.spoil };
    const source = addressOf(hostNamed(this.topology, real));
    const around = { source, sourceMac: this.mac(real, 1), destinationMac: this.mac('client') };
    this.fields = (_hop, { way }) => (way === 'reply' ? { ...around, timeToLive: 64 } : {});
    this.spoil = (hop, { way }, bytes) => {
      if (way === 'request') return bytes;
      if (hop === 'real-out') {
        this.record(`${real}-eth1.pcap`, bytes);
        this.record('client.pcap', bytes);
      }
      return undefined;
    };
    this.connection(real, clientPort);
    Object.assign(this, before);
  }

  ping(answered = true): void {
    const { vip } = this.topology;
    const echo = { identifier: 7, sequence: this.#id++, payload: new Uint8Array(56) };
    const out = { sourceMac: this.mac('client'), destinationMac: this.armMacs[0] };
    const back = { sourceMac: this.armMacs[0], destinationMac: this.mac('client') };
    const ask = icmpEchoFrame({ ...out, source: this.clientAddress, destination: vip, ...echo });
    this.record('client.pcap', ask);
    this.record('director-eth0.pcap', ask);
    if (!answered) return;
    const reply = { ...back, source: vip, destination: this.clientAddress, type: 0, ...echo };
    this.record('director-eth0.pcap', icmpEchoFrame(reply));
    this.record('client.pcap', icmpEchoFrame(reply));
  }

  /** A whole TCP connection: handshake, a request, 2,000 bytes of reply, and its end. */
  connection(real: string, clientPort: number, options: { partial?: boolean } = {}): void {
    const send = this.#sender(real, clientPort, options.partial ?? false);
    const answer = Uint8Array.from({ length: 1000 }, (_, index) => (index * 7 + clientPort) & 255);
    const asked = 1001 + PAYLOAD_REQUEST.length;
    if (!send('request', SYN, 1000, 0)) return;
    if (!send('reply', SYN | ACK, 5000, 1001)) return;
    if (!send('request', ACK, 1001, 5001)) return;
    if (!send('request', PSH | ACK, 1001, 5001, PAYLOAD_REQUEST)) return;
    send('reply', ACK, 5001, asked, answer);
    send('reply', ACK, 6001, asked, answer.toReversed());
    send('request', ACK, asked, 7001);
    send('request', FIN | ACK, asked, 7001);
    send('reply', FIN | ACK, 7001, asked + 1);
    send('request', ACK, asked + 1, 7002);
  }

  /** A connection that the real refuses. */
  refused(real: string, clientPort: number): void {
    const send = this.#sender(real, clientPort, false);
    send('request', SYN, 1000, 0);
    send('reply', RST | ACK, 0, 1001);
  }

  /** One datagram each way. */
  datagrams(real: string, clientPort: number): void {
    const text = (words: string) => new TextEncoder().encode(words);
    const common = { protocol: 'udp', clientPort, port: 5201, real, partial: false } as const;
    const none = { flags: 0, sequence: 0, acknowledgment: 0 };
    const ask = {
      ...common,
      ...none,
      way: 'request',
      id: this.#id++,
      payload: text('ask'),
    } as const;
    this.send(ask);
    this.send({ ...ask, way: 'reply', id: this.#id++, payload: text('answer') });
  }

  /** Sends one segment along its way; false if a hop lost it. */
  send(segment: Segment): boolean {
    for (const hop of this.#hopsOf(segment.way)) {
      const fields = { ...this.#fieldsAt(hop, segment), ...this.fields(hop, segment) };
      const build = segment.protocol === 'tcp' ? tcpFrame : udpFrame;
      const plain = build(fields);
      const bytes = this.spoil(hop, segment, this.#wrap(hop, segment, plain, fields));
      if (bytes === undefined) return false;
      this.record(this.fileAt(hop, segment.real), bytes);
    }
    return true;
  }

  fileAt(hop: Hop, real: string): string {
    if (hop.startsWith('client')) return 'client.pcap';
    if (hop.startsWith('real')) {
      return this.files.has(`${real}.pcap`) ? `${real}.pcap` : `${real}-eth0.pcap`;
    }
    const outside = hop === 'director-in' || hop === 'director-back-out';
    const arms = directorOf(this.topology).arms;
    return `director-${(outside ? arms[0] : arms.at(-1))!.name}.pcap`;
  }

  /** Writes everything and judges it as `furiwake lab verify --from` does. */
  async judge(): Promise<Claim[]> {
    return judge(await loadCaptures(this.write()));
  }

  write(): string {
    const directory = mkdtempSync(join(tmpdir(), 'furiwake-scene-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    for (const [file, frames] of this.files) {
      const writer = createPcapWriter(join(directory, file));
      for (const [index, bytes] of frames.entries()) {
        const originalBytes = this.cut.has(bytes) ? bytes.length + 10 : undefined;
        writer.write({ timestampUs: 1_700_000_000_000_000 + index, bytes, originalBytes });
      }
      writer.close();
    }
    writeFileSync(join(directory, 'manifest.json'), JSON.stringify(this.manifest()));
    return directory;
  }

  manifest(): Manifest {
    const points = tapsOf(this.topology, { offloads: this.offloads }).map(({ point }) => ({
      ...point,
      lostFrames: this.lostFrames[point.file] ?? 0,
    }));
    const run = { breakName: null, datapath: 'ring', createdAt: '2025-01-01T00:00:00Z' } as const;
    return manifestOf(this.topology, { ...run, points, traffic: this.traffic });
  }

  #sender(real: string, clientPort: number, partial: boolean) {
    const common = { protocol: 'tcp', clientPort, port: 80, real, partial } as const;
    return (
      way: 'request' | 'reply',
      flags: number,
      sequence: number,
      acknowledgment: number,
      payload: Uint8Array = new Uint8Array(0),
    ) => this.send({ ...common, way, flags, sequence, acknowledgment, payload, id: this.#id++ });
  }

  #hopsOf(way: 'request' | 'reply'): Hop[] {
    if (way === 'request') return ['client-out', 'director-in', 'director-out', 'real-in'];
    if (answersDirectly(this.topology.method)) return ['real-out', 'client-in'];
    return ['real-out', 'director-back-in', 'director-back-out', 'client-in'];
  }

  #fieldsAt(hop: Hop, segment: Segment): FrameFields {
    const nat = !answersDirectly(this.topology.method);
    const near = ['client-out', 'director-in', 'director-back-out', 'client-in'].includes(hop);
    const passed = ['director-out', 'real-in', 'director-back-out', 'client-in'].includes(hop);
    const server =
      nat && !near ? addressOf(hostNamed(this.topology, segment.real)) : this.topology.vip;
    const { clientPort, port, flags, sequence, acknowledgment, payload } = segment;
    const request = segment.way === 'request';
    const pooled = near ? undefined : this.topology.sourcePool?.addresses[0];
    const client = pooled ?? this.clientAddress;
    const seenPort = pooled === undefined ? clientPort : poolPort(clientPort);
    return {
      ...this.#macsAt(hop, near, segment),
      source: request ? client : server,
      destination: request ? server : client,
      sourcePort: request ? seenPort : port,
      destinationPort: request ? port : seenPort,
      timeToLive: nat && passed ? 63 : 64,
      identification: segment.id,
      partialChecksum: segment.partial,
      flags,
      sequence,
      acknowledgment,
      payload,
    };
  }

  /** A request of a tunnel, once the director has sent it, within the packet to its real. */
  #wrap(hop: Hop, segment: Segment, bytes: Uint8Array, fields: FrameFields): Uint8Array {
    const { method } = this.topology;
    if ((method !== 'ipip' && method !== 'gue') || !toReal(hop)) return bytes;
    return inTunnel(bytes, {
      ...{ kind: method, sourceMac: fields.sourceMac, destinationMac: fields.destinationMac },
      source: addressOf(directorOf(this.topology)),
      destination: addressOf(hostNamed(this.topology, this.endFor(hop, segment))),
      sourcePort: 49_152 + (segment.clientPort & 1023),
    });
  }

  #macsAt(hop: Hop, near: boolean, { way, real }: Segment) {
    const [outside, inside] = this.armMacs;
    const client = this.mac('client');
    const server = this.mac(real);
    if (isTunnel(this.topology.method)) {
      const [hub, hubInside] = [this.mac('hub', 0), this.mac('hub', 1)];
      if (hop === 'director-out') return { sourceMac: outside, destinationMac: hub };
      if (hop === 'real-in') return { sourceMac: hubInside, destinationMac: server };
      if (hop === 'real-out') return { sourceMac: server, destinationMac: hubInside };
      if (hop === 'client-in') return { sourceMac: hub, destinationMac: client };
    }
    if (way === 'request') {
      return near
        ? { sourceMac: client, destinationMac: outside }
        : { sourceMac: inside, destinationMac: server };
    }
    if (this.topology.name === 'dsr') return { sourceMac: server, destinationMac: client };
    return near
      ? { sourceMac: outside, destinationMac: client }
      : { sourceMac: server, destinationMac: inside };
  }
}

/** The port of the pool that stands for a client's in a scene. */
export const poolPort = (clientPort: number): number => clientPort - 20_000;

export const ALL_ANSWERED: TrafficReport = {
  ...{ pings: 1, pingsAnswered: 1, requests: 4, requestsAnswered: 4 },
  ...{ transfers: 1, transfersDone: 1, failures: [] },
};

/** ARP, ping, a connection to each real, a UDP exchange: what every claim needs at least. */
export function goodTraffic(scene: Scene): Scene {
  scene.arp();
  scene.ping();
  for (const [index, real] of ['r1', 'r2', 'r3'].entries()) scene.connection(real, 40000 + index);
  scene.connection('r1', 40010, { partial: true });
  scene.datagrams('r3', 40020);
  scene.traffic = ALL_ANSWERED;
  return scene;
}

export const newScene = (name: TopologyName): Scene => new Scene(name);

export function claimNamed(claims: readonly Claim[], id: string): Claim {
  const claim = claims.find((each) => each.id === id);
  if (claim === undefined) throw new Error(`no claim ${id}: ${claims.map((each) => each.id)}`);
  return claim;
}

/** What was answered the programs tell, all else is seen in frames. */
export const onFrames = (claims: readonly Claim[]): Claim[] =>
  claims.filter(({ id }) => id !== 'answered');

/** The same frame with one byte wrong. */
export function spoilByte(bytes: Uint8Array, at: number): Uint8Array {
  const spoiled = bytes.slice();
  spoiled[at]! ^= 0x55;
  return spoiled;
}

/** Where requests are seen once the director has sent them. */
export const toReal = (hop: Hop): boolean => hop === 'director-out' || hop === 'real-in';
