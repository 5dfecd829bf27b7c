// `furiwake lab list`: the labs that are there, their hosts, and whether their owner still lives.
import { coloursFor, duration } from '../../src/cli/output.ts';
import { isOwnerAlive, type LabState, labNamespaces, orphans, readStates } from '../net/state.ts';

export interface ListedLab extends LabState {
  readonly owner: 'alive' | 'dead';
}

export interface Listing {
  readonly labs: readonly ListedLab[];
  /** Ids of labs that left namespaces and nothing else. */
  readonly remains: readonly string[];
}

export function listLabs(): Listing {
  const labs = readStates().map(
    (state): ListedLab => ({ ...state, owner: isOwnerAlive(state) ? 'alive' : 'dead' }),
  );
  const known = new Set(labs.map((lab) => lab.id));
  return { labs, remains: orphans().filter((id) => !known.has(id)) };
}

export function runList(options: { readonly json: boolean }): void {
  const listing = listLabs();
  console.log(options.json ? JSON.stringify(listing, null, 2) : renderListing(listing));
}

export function renderListing({ labs, remains }: Listing): string {
  const parts = [...labs.map(renderLab), ...remains.map(renderRemains)];
  if (parts.length === 0) return 'no lab is up; start one: furiwake lab up dsr';
  const dead = remains.length > 0 || labs.some((lab) => lab.owner === 'dead');
  if (dead) parts.push('furiwake lab down removes what dead owners left');
  return parts.join('\n\n');
}

function renderLab(lab: ListedLab): string {
  const colours = coloursFor(process.stdout);
  const owner = lab.owner === 'alive' ? 'alive' : colours.red('dead');
  const age = duration(Date.now() - lab.startedAtMs);
  const head = `${colours.bold(lab.id)}  ${lab.title}  owner ${lab.ownerPid} ${owner}  up ${age}`;
  const hosts = lab.hosts.map(
    ({ name, addresses }) => `  ${name.padEnd(9)} ${addresses.join(', ')}`,
  );
  const files = Object.entries(lab.files).map(([name, path]) => `  ${name.padEnd(9)} ${path}`);
  return [head, ...hosts, ...files].map((line) => line.trimEnd()).join('\n');
}

function renderRemains(id: string): string {
  return `${id}  owner dead, namespaces left: ${labNamespaces(id).join(', ')}`;
}
