// `furiwake schedulers`: what the schedulers do, and the scorecard that compares them. Needs no
// configuration and no director.
import { type Command, InvalidArgumentError } from 'commander';
import { type Colours, coloursFor, left, number, right, table, wrap } from './output.ts';
import { type Moved, makeScorecard, type Scorecard } from './scorecard.ts';

const DEFAULT_REALS = 10;
const DEFAULT_FLOWS = 20_000;

interface SchedulersOptions {
  readonly reals: number;
  readonly flows: number;
  readonly json?: true;
}

export function addSchedulersCommand(program: Command): void {
  program
    .command('schedulers')
    .summary('compare the schedulers: balance, flows moved, agreement, cost')
    .description(
      'Tells what each scheduler does and compares them all over made-up flows: how evenly they ' +
        'share, how many flows go elsewhere when the reals change, whether two directors agree, ' +
        'and what a choice costs on this machine.',
    )
    .option('--reals <n>', 'reals of the service', within(2, 1000), DEFAULT_REALS)
    .option('--flows <n>', 'flows that arrive', within(1000, 1_000_000), DEFAULT_FLOWS)
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      `
Columns:
  EQUAL, MIXED  largest share of a real over its fair one, with equal and with mixed weights;
                1.00 is even
  ADD, REMOVE,  flows that go elsewhere when all arrive anew after a real has joined, has left,
  REWEIGHT      or has got twice its weight. Known flows never move; this is what other
                directors, a restart or reopened connections see
  AGREE         two directors send a flow to the same real: yes; if they list their reals in the
                same order; or no, for what came before counts
  COST          of one choice, measured now: a figure of this machine and its present load

Examples:
  furiwake schedulers --reals 100
  furiwake schedulers --json | jq '.schedulers[] | select(.agree == "yes").name'

Exit codes: 0 shown, 2 wrong use.`,
    )
    .action(showSchedulers);
}

/** Reads a whole number within bounds. */
const within = (least: number, most: number) => (text: string) => {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`Allowed: a whole number from ${least} to ${most}.`);
};

function showSchedulers({ reals, flows, json }: SchedulersOptions): void {
  const scorecard = makeScorecard({ reals, flows });
  const text = json
    ? JSON.stringify(scorecard, null, 2)
    : renderScorecard(scorecard, coloursFor(process.stdout));
  console.log(text);
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const movedCells = ({ add, remove, reweight }: Moved) => [add, remove, reweight].map(percent);

export function renderScorecard(scorecard: Scorecard, colours: Colours): string {
  const { reals, flows, destinations, leastMoved, schedulers } = scorecard;
  const columns = [
    left('SCHEDULER'),
    ...['EQUAL', 'MIXED', 'ADD', 'REMOVE', 'REWEIGHT'].map(right),
    left('AGREE'),
    right('COST'),
  ];
  const rows = schedulers.map(({ name, balance, moved, agree, nanosecondsPerChoice }) => [
    name,
    balance.equalWeights.toFixed(2),
    balance.mixedWeights.toFixed(2),
    ...movedCells(moved),
    agree,
    `${number(nanosecondsPerChoice)} ns`,
  ]);
  const least = ['the least', '1.00', '1.00', ...movedCells(leastMoved), '', ''];
  const meanings = schedulers.map(({ name, summary }) => {
    return wrap(`${name.padEnd(12)}${summary}`, ' '.repeat(12));
  });
  return [
    `${number(flows)} flows to ${number(reals)} reals; dh, lblc and lblcr go by destination, of ` +
      `which there are ${number(destinations)}`,
    '',
    table(columns, [...rows, least.map((cell) => colours.dim(cell))], colours),
    '',
    ...meanings,
    '',
    colours.dim('What the columns mean: furiwake schedulers --help'),
  ].join('\n');
}
