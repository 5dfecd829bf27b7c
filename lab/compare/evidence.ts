// The evidence of a path, gathered before it is measured: a small exchange of every kind under
// recorders at the client, at each arm of the balancer's host and at each real, and what these
// captures say about the way back. furiwake's own paths are held to all claims of verify, and their
// directory keeps a manifest, so that `furiwake lab verify --from` judges them again.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../net/lab.ts';
import { setOffloads } from '../net/links.ts';
import { keepFile } from '../results-directory.ts';
import type { Topology } from '../topologies/topology.ts';
import { type CaptureSet, damageOf, loadCaptures, MANIFEST_FILE } from '../verify/captures.ts';
import type { Claim } from '../verify/claim.ts';
import { answered, judge } from '../verify/claims.ts';
import { manifestOf, tapsOf } from '../verify/points.ts';
import { recordPhase } from '../verify/record-phase.ts';
import { SMALL_TRAFFIC, sendTraffic, withoutUdp } from '../verify/traffic.ts';
import type { OpenPath } from './path.ts';
import { judgePeer } from './peer-claims.ts';
import type { Evidence, EvidenceClaim } from './result.ts';
import { complaintsOf, whyNoTshark } from './tshark.ts';

/** Within the comparison's directory, and in all names of files. */
const CAPTURES = 'captures';
/** A recorder that lost frames on a busy machine gets another chance. */
const ATTEMPTS = 2;
const FRAMES_SHOWN = 4;

/** @param directory that of the comparison; captures go to `captures/PATH/` in it */
export async function gatherEvidence(open: OpenPath, directory: string): Promise<Evidence> {
  const place = join(CAPTURES, open.path.name);
  await mkdir(join(directory, place), { recursive: true });
  let set = await record(open, join(directory, place));
  for (let attempt = 1; attempt < ATTEMPTS && damageIn(set).length > 0; attempt++) {
    set = await record(open, join(directory, place));
  }
  const captures = set.captures.map(({ point }) => join(place, point.file));
  const complaints = await complaintsAbout(captures, directory);
  const claims = [...claimsOf(open, set, place), opensInTshark(captures, complaints)];
  const damage = damageIn(set).map((text) => `${place}/${text}`);
  return {
    holds: claims.every((each) => each.verdict === 'holds') && damage.length === 0,
    claims,
    captures,
    tsharkComplaints: [...damage, ...(complaints ?? [])],
  };
}

const damageIn = (set: CaptureSet): string[] =>
  set.captures.map(damageOf).filter((text) => text !== undefined);

/**
 * Offloads are off meanwhile, so that every frame is as on a real wire and a checksum that is not
 * right is wrong; those that were on are on again afterwards.
 */
async function record(open: OpenPath, directory: string): Promise<CaptureSet> {
  const { lab, target, carriesUdp } = open;
  const topology: Topology = { ...open.topology, vip: target };
  const plan = carriesUdp ? SMALL_TRAFFIC : withoutUdp(SMALL_TRAFFIC);
  const createdAt = new Date().toISOString();
  const links = linksOf(topology);
  const wereOn = await offloading(lab, links);
  try {
    const { points, traffic } = await recordPhase(
      { lab, topology, directory, say: () => {} },
      { offloads: 'off' },
      { send: () => sendTraffic(lab, topology, plan) },
    );
    const { name } = open.path;
    const datapath = (['tc', 'cap'] as const).find((end) => name.endsWith(`-${end}`)) ?? 'ring';
    const facts = { breakName: null, datapath, createdAt, points, traffic } as const;
    const manifest = manifestOf(topology, facts);
    keepFile(join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
    return await loadCaptures(directory);
  } finally {
    for (const { host, name } of wereOn) await setOffloads(lab, host, name, 'on');
  }
}

interface Link {
  readonly host: string;
  readonly name: string;
}

/** Every interface whose offloads recording switches off. */
function linksOf(topology: Topology): Link[] {
  const arms = topology.hosts.flatMap(({ name: host, arms }) =>
    arms.map(({ name }) => ({ host, name })),
  );
  const taps = tapsOf(topology, { offloads: 'off' });
  const links = [...arms, ...taps.map((tap) => ({ host: tap.host, name: tap.interface }))];
  return [...new Map(links.map((link) => [`${link.host} ${link.name}`, link])).values()];
}

async function offloading(lab: Lab, links: readonly Link[]): Promise<Link[]> {
  const on: Link[] = [];
  for (const link of links) {
    const { stdout } = await lab.exec(link.host, ['ethtool', '-k', link.name]);
    if (/^tcp-segmentation-offload: on/m.test(stdout)) on.push(link);
  }
  return on;
}

function claimsOf(open: OpenPath, set: CaptureSet, place: string): EvidenceClaim[] {
  const within = (claim: EvidenceClaim): EvidenceClaim => ({
    ...claim,
    frames: claim.frames.map(({ file, frame }) => ({ file: join(place, file), frame })),
  });
  const own = open.path.name.startsWith('furiwake-');
  const claims = own
    ? judge(set).map(toEvidence)
    : [...judgePeer(open.path.kind, set, open.target), toEvidence(answered(set.manifest))];
  return claims.map(within);
}

export function toEvidence(claim: Claim): EvidenceClaim {
  const { sentence, verdict, evidence, counterexample, faults, frames, flows, notes } = claim;
  const shown = verdict === 'fails' ? counterexample : evidence;
  const why = verdict === 'holds' ? undefined : (faults[0]?.cause ?? notes.at(-1));
  const because = why === undefined ? '' : `: ${why}`;
  return {
    text: `${sentence[0]?.toUpperCase()}${sentence.slice(1)}${because}.`,
    verdict,
    frames: shown.slice(0, FRAMES_SHOWN).map(({ file, number }) => ({ file, frame: number })),
    looked: Math.max(frames, flows),
  };
}

/** Undefined if there is no tshark. */
async function complaintsAbout(
  captures: readonly string[],
  directory: string,
): Promise<string[] | undefined> {
  if (whyNoTshark() !== undefined) return undefined;
  const all: string[] = [];
  for (const file of captures) {
    const complaints = await complaintsOf(join(directory, file));
    all.push(...complaints.map((complaint) => `${file}: ${complaint}`));
  }
  return all;
}

function opensInTshark(
  captures: readonly string[],
  complaints: readonly string[] | undefined,
): EvidenceClaim {
  const untested = whyNoTshark() ?? '';
  const text = 'tshark opens every capture without complaint';
  if (complaints === undefined) {
    return { text: `${text}: ${untested}`, verdict: 'not-tested', frames: [], looked: 0 };
  }
  const verdict = complaints.length === 0 ? 'holds' : 'fails';
  return { text: `${text}.`, verdict, frames: [], looked: captures.length };
}
