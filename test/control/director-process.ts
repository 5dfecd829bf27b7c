// `furiwake run` as a process in the far namespace of a wire pair, with traffic from the near one,
// for tests of the whole director. Runs the build.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchStatus } from '../../src/control/api.ts';
import type { Status } from '../../src/control/status.ts';
import { whyNoNamespace } from '../linux/namespace.ts';
import { makeWirePair, type WirePair } from '../linux/wire-pair.ts';

const pathOf = (built: string) => fileURLToPath(new URL(`../../dist/${built}`, import.meta.url));
const MAIN = pathOf('src/cli/main.js');
const GENERATOR = pathOf('lab/bench/generator.js');

export const VIP = '10.7.0.100';

/** The reason that no director can run here, or undefined. */
export const whyNoDirector = (): string | undefined =>
  existsSync(MAIN) ? whyNoNamespace() : 'skipped: not built, run "npm run build"';

export interface Running {
  readonly child: ChildProcess;
  /** All output so far. */
  output(): string;
  /** Waits for a text in the output; fails if the process ends without it. */
  sees(text: string): Promise<void>;
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

export interface Scene {
  readonly wire: WirePair;
  /** The API's socket. */
  readonly socket: string;
  /** Starts a director for one UDP service by DSR; `prefix` goes before the command. */
  direct(options: { datapath: string; prefix?: readonly string[] }): Running;
  /** Sends UDP frames of 128 flows to the VIP: `rate` a second, 0 for as many as can be. */
  flood(options: { rate: number; seconds: number }): Running;
  status(): Promise<Status>;
  remove(): Promise<void>;
}

export function makeScene(): Scene {
  const wire = makeWirePair();
  const folder = mkdtempSync(join(tmpdir(), 'furiwake-director-'));
  // The director may run as another user, who makes its socket there.
  chmodSync(folder, 0o777);
  const file = join(folder, 'furiwake.yaml');
  const socket = join(folder, 'api.sock');
  const runs: Running[] = [];

  function start(namespace: string, command: readonly string[]): Running {
    const running = run(['ip', 'netns', 'exec', namespace, ...command]);
    runs.push(running);
    return running;
  }

  return {
    wire,
    socket,
    direct: ({ datapath, prefix = [] }) => {
      writeFileSync(file, configText(datapath, socket));
      return start(wire.far, [...prefix, process.execPath, MAIN, 'run', '--config', file]);
    },
    flood: ({ rate, seconds }) =>
      start(wire.near, [
        ...[process.execPath, GENERATOR, '--destination-mac', wire.farMac, '--flows', '128'],
        ...['--source', '10.7.0.50', '--destination', VIP],
        ...['--rate', String(rate), '--seconds', String(seconds)],
      ]),
    status: () => fetchStatus(socket),
    remove: async () => {
      for (const { child, ended } of runs) {
        child.kill('SIGKILL');
        await ended;
      }
      wire.remove();
      rmSync(folder, { recursive: true });
    },
  };
}

const configText = (datapath: string, socket: string): string => `interfaces: [eth0]
datapath: ${datapath}
socket: ${socket}
services:
  web:
    vip: ${VIP}
    port: 80
    protocol: udp
    method: dsr
    reals: [10.7.0.1]
`;

function run([program, ...words]: readonly string[]): Running {
  const child = spawn(program!, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const take = (text: string) => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? '')),
  );
  const sees = async (text: string) => {
    while (!output.includes(text) && child.exitCode === null && child.signalCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (!output.includes(text)) throw new Error(`no ${text} in:\n${output}`);
  };
  return { child, output: () => output, sees, ended };
}
