// What verify judges: the captures of one run, each taken at a known point, and the facts of the
// lab that gave them (the manifest). A kept directory holds both, so that it can be judged again on
// any machine, by anyone, without a lab and without root.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { inSubnet, inSubnet6, parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import { readPcap } from '../pcap/read-pcap.ts';
import { TOPOLOGIES } from '../topologies/build.ts';
import { type Method, TOPOLOGY_NAMES } from '../topologies/topology.ts';
import { type CapturedFrame, dissect, type Frame } from './dissect.ts';

export const MANIFEST_FILE = 'manifest.json';

const interfaceSchema = z.object({
  name: z.string(),
  mac: z.string(),
  address: z.string(),
  prefixLength: z.number(),
});
const hostSchema = z.object({
  name: z.string(),
  role: z.enum(['client', 'director', 'real', 'router']),
  interfaces: z.array(interfaceSchema),
});
const serviceSchema = z.object({
  name: z.string(),
  vip: z.string(),
  port: z.number(),
  protocol: z.enum(['tcp', 'udp']),
  reals: z.array(z.object({ host: z.string(), address: z.string(), port: z.number() })),
});
const pointSchema = z.object({
  /** File name within the directory; also how evidence names the point. */
  file: z.string(),
  host: z.string(),
  interface: z.string(),
  /** The hosts' offloads meanwhile. Only with them on may a checksum be partial. */
  offloads: z.enum(['on', 'off']),
  /** Frames that the recorder missed; null if it could not tell. */
  lostFrames: z.number().nullable(),
  /** What went wrong with the recorder, such as a limit or a crash; null if nothing did. */
  problem: z.string().nullable(),
});
const trafficSchema = z.object({
  pings: z.number(),
  pingsAnswered: z.number(),
  requests: z.number(),
  requestsAnswered: z.number(),
  transfers: z.number(),
  transfersDone: z.number(),
  /** The commands that failed; of a connection, or of the transfers, the first that did. */
  failures: z.array(z.string()),
});
const manifestSchema = z.object({
  format: z.literal(1),
  topology: z.enum(TOPOLOGY_NAMES),
  breakName: z.string().nullable(),
  datapath: z.enum(['ring', 'tc', 'cap']),
  createdAt: z.string(),
  hosts: z.array(hostSchema),
  services: z.array(serviceSchema),
  /** Whom the reals of fullnat see as their client. */
  sourcePool: z.object({ addresses: z.array(z.string()), ports: z.string() }).optional(),
  points: z.array(pointSchema),
  /** Missing from manifests that were written before it was kept. */
  traffic: trafficSchema.optional(),
});

export type HostFacts = z.infer<typeof hostSchema>;
export type ServiceFacts = z.infer<typeof serviceSchema>;
export type PointFacts = z.infer<typeof pointSchema>;
/** What was sent, and what came of it as the programs themselves saw it. */
export type TrafficReport = z.infer<typeof trafficSchema>;
export type Manifest = z.infer<typeof manifestSchema>;

/** The frames of one point, dissected. */
export interface Capture {
  readonly point: PointFacts;
  readonly frames: readonly Frame[];
}

export interface CaptureSet {
  readonly manifest: Manifest;
  readonly captures: readonly Capture[];
}

export function captureOf(point: PointFacts, frames: readonly CapturedFrame[]): Capture {
  return { point, frames: frames.map((frame) => dissect(point, frame)) };
}

/**
 * Reads a directory that verify kept.
 * @throws Error with the file and what is wrong with it
 */
export async function loadCaptures(directory: string): Promise<CaptureSet> {
  const manifest = await loadManifest(join(directory, MANIFEST_FILE));
  const captures: Capture[] = [];
  for (const point of manifest.points) {
    const { frames } = await readPcap(join(directory, point.file));
    captures.push(captureOf(point, frames));
  }
  return { manifest, captures };
}

async function loadManifest(path: string): Promise<Manifest> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new Error(
      `${path}: cannot be read; --from takes a directory that "furiwake lab verify" wrote`,
    );
  });
  const parsed = manifestSchema.safeParse(parseJson(path, text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${path}: ${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path}: not JSON (${(error as Error).message})`);
  }
}

/** Why a capture is not whole, or undefined if it is; a claim about absence needs it whole. */
export function damageOf(capture: Capture): string | undefined {
  const { file, lostFrames, problem } = capture.point;
  const cut = capture.frames.filter((frame) => frame.cut).length;
  const parts = problem === null ? [] : [problem];
  if (lostFrames === null) parts.push('the recorder could not tell whether it lost frames');
  else if (lostFrames > 0) parts.push(`the recorder lost ${lostFrames} frames`);
  if (cut > 0) parts.push(`the recorder cut ${cut} frames`);
  return parts.length > 0 ? `${file}: ${parts.join(', ')}` : undefined;
}

export const hostsOf = (manifest: Manifest, role: HostFacts['role']): HostFacts[] =>
  manifest.hosts.filter((host) => host.role === role);

export const macsOf = (host: HostFacts): string[] => host.interfaces.map((port) => port.mac);

export const hostOfMac = (manifest: Manifest, mac: string): HostFacts | undefined =>
  manifest.hosts.find((host) => macsOf(host).includes(mac));

/** The host that a frame is for: of a tunnel its far end, else whose MAC address it goes to. */
export function targetOf(manifest: Manifest, frame: Frame): HostFacts | undefined {
  const { tunnel } = frame;
  if (tunnel === undefined) return hostOfMac(manifest, frame.destinationMac);
  const isEnd = ({ address }: { address: string }) => address === tunnel.destination;
  return manifest.hosts.find((host) => host.interfaces.some(isEnd));
}

export const vipsOf = (manifest: Manifest): string[] => [
  ...new Set(manifest.services.map((service) => service.vip)),
];

/** The addresses that the director alone answers for. */
export const ownedBy = (manifest: Manifest): string[] => [
  ...vipsOf(manifest),
  ...(manifest.sourcePool?.addresses ?? []),
];

/** The director's address in the subnet of `host`: what the host's default route must name. */
export function directorAddressFor(manifest: Manifest, host: string): string {
  const own = manifest.hosts.find((entry) => entry.name === host)?.interfaces[0]?.address ?? '';
  const arms = hostsOf(manifest, 'director').flatMap((director) => director.interfaces);
  const own6 = parseIpv6(own);
  const near = arms.find(({ address, prefixLength }) => {
    const arm6 = parseIpv6(address);
    if (own6 === undefined || arm6 === undefined) {
      return inSubnet(parseIpv4(own) ?? 0, parseIpv4(address) ?? 0, prefixLength);
    }
    return inSubnet6(own6, arm6, prefixLength);
  });
  return near?.address ?? 'DIRECTOR';
}

/** How the topology's director sends on, whatever the family. */
export const methodOf = ({ topology }: Manifest): Method => TOPOLOGIES[topology].method;
