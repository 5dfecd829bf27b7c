// One colour and one kind of line for each path, the same in every picture. The colours follow the
// set of Okabe and Ito, which people with any kind of colour vision tell apart: blue and green
// where the answer goes past the balancer, orange and purple where it is translated, and so on. No
// picture rests on colour alone: the kind of line follows the kind of path, and names stand beside.
import type { PathKind, PathName, WorkloadPath } from '../compare/result.ts';

interface Pair {
  readonly light: string;
  readonly dark: string;
}

const COLOURS: Readonly<Record<PathName, Pair>> = {
  none: { light: '#50565e', dark: '#c3c9d1' },
  'furiwake-dsr-ring': { light: '#0068b3', dark: '#4da9f2' },
  'furiwake-nat-ring': { light: '#cc5200', dark: '#ff8c42' },
  'furiwake-fullnat': { light: '#8440ad', dark: '#cd9df0' },
  'furiwake-ipip': { light: '#007a91', dark: '#45c9de' },
  'furiwake-gue': { light: '#417a1f', dark: '#93d169' },
  'furiwake-dsr-tc': { light: '#003a63', dark: '#8fb8ff' },
  'furiwake-nat-tc': { light: '#7a4b00', dark: '#ffd79a' },
  'furiwake-dsr-cap': { light: '#4399cf', dark: '#9ccff2' },
  'furiwake-nat-cap': { light: '#dc9406', dark: '#f4c15c' },
  routing: { light: '#8b939d', dark: '#88919c' },
  'nft-dnat': { light: '#b3578f', dark: '#e59ac7' },
  'nft-fwd': { light: '#008468', dark: '#37c9a4' },
  haproxy: { light: '#857600', dark: '#d2c236' },
  'nginx-stream': { light: '#98282c', dark: '#f07a78' },
  'ipvs-dr': { light: '#5a5fc4', dark: '#a9acf5' },
  'ipvs-nat': { light: '#7a583b', dark: '#c9a27f' },
};

export type Dash = 'solid' | 'dashed' | 'dotted' | readonly number[];

export const DASHES: Readonly<Record<PathKind, Dash>> = {
  none: 'solid',
  dsr: 'solid',
  nat: 'dashed',
  tunnel: [12, 3, 3, 3, 3, 3],
  routing: 'dotted',
  proxy: [8, 3, 2, 3],
};

export const colourOf = (name: PathName): string => `var(--path-${name})`;

/** The workloads' ways in the colours of the paths that they are. */
export const WAYS: Readonly<Record<WorkloadPath, { title: string; colour: string; dash: Dash }>> = {
  direct: { title: 'direct', colour: colourOf('none'), dash: DASHES.none },
  dsr: { title: 'DSR', colour: colourOf('furiwake-dsr-ring'), dash: DASHES.dsr },
  nat: { title: 'NAT', colour: colourOf('furiwake-nat-ring'), dash: DASHES.nat },
  'dsr-tc': { title: 'DSR (tc)', colour: colourOf('furiwake-dsr-tc'), dash: DASHES.dsr },
  'nat-tc': { title: 'NAT (tc)', colour: colourOf('furiwake-nat-tc'), dash: DASHES.nat },
  fwd: { title: 'nft fwd', colour: colourOf('nft-fwd'), dash: DASHES.dsr },
  spread: { title: 'spread', colour: colourOf('routing'), dash: DASHES.routing },
};

/** Declarations of the colours, for one scheme. */
export function colourVariables(scheme: keyof Pair): string {
  const names = Object.keys(COLOURS) as PathName[];
  return names.map((name) => `--path-${name}:${COLOURS[name][scheme]};`).join('');
}
