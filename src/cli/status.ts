// `furiwake status`: asks a running director over its socket and shows the answer. It knows
// nothing of the director but what the API says.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/load.ts';
import { DEFAULT_SOCKET } from '../config/schema.ts';
import { ApiError, fetchFlows, fetchStatus, MAXIMUM_FLOW_LIMIT } from '../control/api.ts';
import type { FlowStatus, Status } from '../control/status.ts';
import { invalidConfig, OperatorError } from './errors.ts';
import { coloursFor } from './output.ts';
import { renderStatus } from './render-status.ts';

const DEFAULT_FLOWS_SHOWN = 20;
const WATCH_INTERVAL_MS = 1000;
const CLEAR_SCREEN = '\x1b[H\x1b[2J\x1b[3J';

interface StatusOptions {
  readonly socket?: string;
  readonly config?: string;
  readonly json?: true;
  readonly flows?: number | true;
  readonly watch?: true;
}

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .summary('show services, reals, flows, counters and drops of a running director')
    .description('Shows what a running director does: services, reals, flows, counters and drops.')
    .option('-s, --socket <path>', `socket of the director (default: "${DEFAULT_SOCKET}")`)
    .option('-c, --config <file>', "take the socket from the director's configuration file")
    .option('--json', 'print everything as JSON; with --watch, one object a line')
    .option('--flows [n]', `show flows too, ${DEFAULT_FLOWS_SHOWN} unless given`, parseFlows)
    .option('-w, --watch', 'show it anew every second, until Ctrl-C')
    .addHelpText(
      'after',
      `
Columns:
  NEIGHBOUR  ok: the MAC address of the real is known; no answer: it does not answer ARP
  IN, OUT    packets of requests and of replies; direct: DSR replies do not pass the director
  MISSED     frames lost before the director saw them, because the ring was full
  FAILED     frames that the kernel refused to send

Examples:
  furiwake status --watch
  furiwake status --flows 50
  furiwake status --json | jq .drops

Exit codes: 0 shown, 1 no director answers, 2 wrong use or input.`,
    )
    .action(status);
}

function parseFlows(text: string): number {
  const flows = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (flows < 1 || flows > MAXIMUM_FLOW_LIMIT)
    throw new InvalidArgumentError(`Allowed: a whole number from 1 to ${MAXIMUM_FLOW_LIMIT}.`);
  return flows;
}

async function status(options: StatusOptions): Promise<void> {
  const socket = socketFrom(options);
  try {
    await show(socket, options);
    while (options.watch) {
      await sleep(WATCH_INTERVAL_MS);
      await show(socket, options);
    }
  } catch (error) {
    if (error instanceof ApiError) throw new OperatorError(error.message, 1);
    throw error;
  }
}

function socketFrom({ socket, config }: StatusOptions): string {
  if (socket !== undefined && config !== undefined)
    throw new OperatorError('found both --socket and --config, allowed one of them', 2);
  if (config === undefined) return socket ?? DEFAULT_SOCKET;
  const result = loadConfig(config);
  if (!result.ok) throw invalidConfig(config, result.problems);
  return result.config.socket;
}

async function show(socket: string, options: StatusOptions): Promise<void> {
  const answer = await fetchStatus(socket);
  const limit = options.flows === true ? DEFAULT_FLOWS_SHOWN : options.flows;
  const flows = limit === undefined ? undefined : await fetchFlows(socket, limit);
  process.stdout.write(
    options.json ? asJson(answer, flows, options) : asText(answer, flows, options),
  );
}

function asJson(
  answer: Status,
  flows: readonly FlowStatus[] | undefined,
  { watch }: StatusOptions,
): string {
  const all = flows === undefined ? answer : { ...answer, flows };
  return `${JSON.stringify(all, null, watch ? 0 : 2)}\n`;
}

function asText(
  answer: Status,
  flows: readonly FlowStatus[] | undefined,
  { watch }: StatusOptions,
): string {
  const text = `${renderStatus(answer, flows, coloursFor(process.stdout))}\n`;
  if (!watch) return text;
  return process.stdout.isTTY ? `${CLEAR_SCREEN}${text}` : `${text}\n`;
}
