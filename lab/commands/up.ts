// `furiwake lab up`: holds a lab in the foreground for somebody to look around in. Ctrl-C is its
// ordinary end and removes everything.
import { basename } from 'node:path';
import { coloursFor } from '../../src/cli/output.ts';
import type { Director } from '../hosts/director.ts';
import { exitOnSignalWith } from '../net/signals.ts';
import { type ServingLab, type StartOptions, startLab, startServers } from '../running.ts';
import { draw } from '../topologies/draw.ts';
import { inUrl } from '../topologies/topology.ts';

export interface UpOptions extends StartOptions {
  readonly withDirector: boolean;
}

/** Builds the lab and stays until a signal ends the process. */
export async function runUp(options: UpOptions): Promise<never> {
  exitOnSignalWith(0);
  const director = options.withDirector ? await startLab(options) : undefined;
  const serving = director ?? (await startServers(options));
  const { topology, broken } = serving;
  const colours = coloursFor(process.stdout);
  const { columns } = process.stdout;
  console.log(draw(topology, { colour: colours.isColorSupported, columns, broken }));
  console.log(`\n${visitorText(serving, director?.director)}`);
  if (director !== undefined) void tellIfItEnds(director.director);
  return stayForEver();
}

/** What one can do in the lab from another terminal. */
export function visitorText({ lab, topology }: ServingLab, director: Director | undefined): string {
  const self = selfCommand();
  const rows = [
    [`${self} lab shell client`, 'a shell on the client'],
    [`${self} lab shell client curl -i http://${inUrl(topology.vip)}/`, 'which real answers?'],
    [`${self} lab shell switch tcpdump -eni director-eth0`, 'what the director sees and sends'],
  ];
  if (director !== undefined) rows.push([`${self} status --socket ${director.socket}`, '']);
  rows.push([`${self} lab list`, 'hosts, addresses, files']);
  const lines = rows.map(([command, meaning]) => `  ${command!.padEnd(58)} ${meaning}`.trimEnd());
  return [
    `${lab.id} is up. From another terminal, as root:`,
    ...lines,
    `Logs and configuration: ${lab.directory}`,
    'Ctrl-C ends it and removes everything.',
  ].join('\n');
}

/** How the reader can call this program again: as it was called. */
function selfCommand(): string {
  const program = process.argv[1] ?? 'furiwake';
  return program.endsWith('.js') ? `node ${relativeToHere(program)}` : basename(program);
}

function relativeToHere(path: string): string {
  const here = `${process.cwd()}/`;
  return path.startsWith(here) ? path.slice(here.length) : path;
}

async function tellIfItEnds(director: Director): Promise<void> {
  await director.daemon.ended();
  console.error(`${director.daemon.whyNot()}\nThe lab stays without it; Ctrl-C ends it.`);
}

/** The lab's children do not keep this process running, and a signal handler does not either. */
function stayForEver(): Promise<never> {
  setInterval(() => {}, 2 ** 30);
  return new Promise(() => {});
}
