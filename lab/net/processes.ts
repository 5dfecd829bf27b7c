// Long-running programs inside a lab's hosts: servers, clients, captures, the director. Each runs
// in a session of its own, so that a Ctrl-C reaches the lab's owner alone and the lab ends in
// order. They end by their pid, with the lab at the latest.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { environment } from './command.ts';

export interface DaemonOptions {
  /** Names the log files; unique on its host. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const STOP_TIMEOUT_MS = 5_000;
const TAIL_LINES = 12;

export class Daemon {
  readonly host: string;
  readonly name: string;
  readonly argv: readonly string[];
  /** What it writes on its standard output. */
  readonly outputFile: string;
  /** What it writes on its standard error. */
  readonly logFile: string;
  /** How it ended, once it has. */
  exit: Exit | undefined;
  readonly #child: ChildProcess;
  readonly #ended: Promise<Exit>;

  /** @param prefix what brings a program into the host, such as `ip netns exec NAMESPACE` */
  constructor(
    where: { host: string; prefix: readonly string[]; directory: string },
    options: DaemonOptions,
  ) {
    this.host = where.host;
    this.name = options.name;
    this.argv = options.argv;
    const stem = join(where.directory, `${where.host}-${options.name}`);
    this.outputFile = `${stem}.out`;
    this.logFile = `${stem}.log`;
    this.#child = this.#start([...where.prefix, ...options.argv], options.env ?? {});
    this.#ended = new Promise((resolve) => {
      const end = (exit: Exit) => {
        this.exit = exit;
        resolve(exit);
      };
      this.#child.once('exit', (code, signal) => end({ code, signal }));
      this.#child.once('error', () => end({ code: 127, signal: null }));
    });
    this.#child.unref();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.exit === undefined;
  }

  /** Resolves when it has ended. */
  async ended(): Promise<Exit> {
    this.#child.ref();
    return this.#ended;
  }

  /** Why waiting for it is pointless, for `until`: it ended, and these were its last words. */
  readonly whyNot = (): string | undefined => {
    if (this.exit === undefined) return undefined;
    const how = this.exit.signal ?? `exit code ${this.exit.code}`;
    return `${this.name} on ${this.host} ended (${how}): ${this.lastWords() || 'it said nothing'}`;
  };

  /** The last lines of its log. */
  lastWords(): string {
    const text = readFileSync(this.logFile, 'utf8') || readFileSync(this.outputFile, 'utf8');
    return text.trim().split('\n').slice(-TAIL_LINES).join('\n');
  }

  /** Ends it with `signal`, and with SIGKILL if it has not ended within five seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.exit !== undefined) return this.exit;
    this.#child.kill(signal);
    const tooLong = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    try {
      return await this.ended();
    } finally {
      clearTimeout(tooLong);
    }
  }

  #start(argv: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
    const [program, ...rest] = argv;
    const out = openSync(this.outputFile, 'w');
    const log = openSync(this.logFile, 'w');
    try {
      return spawn(program!, rest, {
        detached: true,
        stdio: ['ignore', out, log],
        env: environment(env),
      });
    } finally {
      closeSync(out);
      closeSync(log);
    }
  }
}
