// `furiwake check`: is this configuration good? Reads the file and nothing else: no interface, no
// socket, no capability is looked at, so it can run anywhere, as anyone.
import type { Command } from 'commander';
import type { Config, ServiceConfig } from '../config/config.ts';
import { formatEndpoint } from '../config/endpoint.ts';
import { formatPorts } from '../config/listening.ts';
import { loadConfig } from '../config/load.ts';
import { jsonSchema } from '../config/schema.ts';
import { configWarnings } from '../config/warnings.ts';
import { openWeight } from '../control/build-life.ts';
import type { SchedulerName } from '../schedule/scheduler.ts';
import { invalidConfig } from './errors.ts';
import { EXAMPLE_CONFIG } from './example.ts';
import {
  type Colours,
  coloursFor,
  left,
  number,
  type Row,
  right,
  serviceTitle,
  table,
  wrap,
} from './output.ts';

export const DEFAULT_CONFIG_FILE = 'furiwake.yaml';

interface CheckOptions {
  readonly config: string;
  readonly json?: true;
  readonly schema?: true;
  readonly example?: true;
}

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('validate a configuration file, touching nothing')
    .description('Validates a configuration file and shows what it means. Touches nothing.')
    .option('-c, --config <file>', 'the configuration file', DEFAULT_CONFIG_FILE)
    .option('--json', 'print the whole configuration, or the problems, as JSON')
    .option('--schema', 'print the JSON Schema of the file, for editors')
    .option('--example', 'print a commented configuration to start from')
    .addHelpText(
      'after',
      `
Examples:
  furiwake check --example > furiwake.yaml        something to edit
  furiwake check                                  is ./${DEFAULT_CONFIG_FILE} good?
  furiwake check --schema > furiwake.schema.json  for the YAML plug-in of an editor

Exit codes: 0 the file is good, 2 it is not.`,
    )
    .action(check);
}

function check(options: CheckOptions): void {
  if (options.example) process.stdout.write(EXAMPLE_CONFIG);
  else if (options.schema) console.log(JSON.stringify(jsonSchema(), null, 2));
  else checkFile(options);
}

function checkFile(options: CheckOptions): void {
  const result = loadConfig(options.config);
  if (options.json) {
    const warnings = result.ok ? configWarnings(result.config) : [];
    console.log(JSON.stringify({ ...result, ...(result.ok && { warnings }) }, null, 2));
    process.exitCode = result.ok ? 0 : 2;
  } else if (result.ok) console.log(renderConfig(result.config, coloursFor(process.stdout)));
  else throw invalidConfig(options.config, result.problems);
}

const plural = (amount: number, noun: string): string =>
  `${number(amount)} ${noun}${amount === 1 ? '' : 's'}`;

/** A table of 65,537 slots has 1/8 MiB. */
const MUCH_MIB = 64;

/** Slots of all Maglev tables: services with equal reals, weights and flags share one. */
function maglevSlots(services: readonly ServiceConfig[]): number {
  const tables = services.map(({ hash, reals }): [key: string, slots: number] => [
    JSON.stringify([hash, reals.map((real) => [real.address, real.port, openWeight(real)])]),
    hash.slots ?? 0,
  ]);
  return [...new Map(tables).values()].reduce((sum, slots) => sum + slots, 0);
}

/** What a good configuration means, in a few lines and a table. */
export function renderConfig(config: Config, colours: Colours): string {
  const { services, interfaces } = config;
  const reals = services.flatMap((service) => service.reals);
  const maglevMiB = maglevSlots(services) * (2 / 2 ** 20);
  const facts = [
    `datapath ${config.datapath} (${number(config.ringSlots)} slots an interface)`,
    ...(config.workers > 1 ? [plural(config.workers, 'worker')] : []),
    `guard ${config.guard}`,
    `${number(config.maximumFlows)} flows at most`,
    ...(maglevMiB >= MUCH_MIB
      ? [`Maglev tables of ${number(maglevMiB)} MiB in each thread (hash.slots makes them smaller)`]
      : []),
    `socket ${config.socket}`,
  ];
  const rows = services.flatMap((service): Row[] => [
    { heading: serviceTitle({ ...service, ports: service.ports.map(formatPorts) }, colours) },
    ...realRows(service, colours),
  ]);
  const columns = [left('REAL'), left('ADDRESS'), right('WEIGHT'), right('NEW FLOWS'), left('BY')];
  return [
    `${colours.green('good:')} ${config.file} has ${plural(services.length, 'service')} with ` +
      `${plural(reals.length, 'real')}, on ${interfaces.join(', ')}`,
    colours.dim(facts.join(', ')),
    ...configWarnings(config).map((text) => `${colours.yellow('warning:')} ${wrap(text, '  ')}`),
    '',
    table(columns, rows, colours),
  ].join('\n');
}

/** Schedulers that do not look at the weight, other than 0. */
const UNWEIGHTED: readonly SchedulerName[] = ['rr', 'lc'];
/** Schedulers that send all flows to one VIP, or most of them, to one real. */
const BY_VIP: readonly SchedulerName[] = ['dh', 'lblc', 'lblcr'];

/** Which new flows each real gets, in a few letters; shares if flows last equally long. */
function newFlows({ reals, scheduler }: ServiceConfig): string[] {
  const weights = reals.map(({ weight, drain }) => {
    const own = drain === undefined ? weight : 0;
    return UNWEIGHTED.includes(scheduler) ? Math.min(own, 1) : own;
  });
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const highest = weights.indexOf(Math.max(...weights));
  return weights.map((weight, index) => {
    if (weight === 0) return 'none';
    if (BY_VIP.includes(scheduler)) return 'by VIP';
    if (scheduler === 'fo') return index === highest ? 'all' : 'in reserve';
    if (scheduler === 'ovf') return `to ${number(weight + 1)} active`;
    return `${((weight / whole) * 100).toFixed(1)} %`;
  });
}

function realRows(service: ServiceConfig, colours: Colours): Row[] {
  const shares = newFlows(service);
  return service.reals.map((real, index) => {
    const { name, address, port, method, gateway = real.interface ?? 'its subnet' } = real;
    const endpoint = formatEndpoint(address, port);
    return [
      `  ${name === endpoint ? colours.dim('-') : name}`,
      endpoint,
      String(real.weight),
      shares[index] ?? '',
      method === service.method ? gateway : `${gateway}, ${method}`,
    ];
  });
}
