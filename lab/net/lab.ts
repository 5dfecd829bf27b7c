// A lab: named network namespaces as hosts, and the programs that run in them. Its names carry the
// owner's pid and a number, so labs stand side by side and can be told apart. A lab is gone after
// `close`, after a signal, and after any other end of its owner: see sweeper.ts.
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../requirements.ts';
import { CommandError, type Output, type RunOptions, run, runSync } from './command.ts';
import { Daemon, type DaemonOptions } from './processes.ts';
import { closeOnSignal, forget } from './signals.ts';
import { labNamespaces, readState, startTicksOf, writeState } from './state.ts';
import { DIRECTORY_MARK, type Sweeper, startSweeper } from './sweeper.ts';

export interface LabOptions {
  /** Name of the topology, or what else the lab is for; `lab list` shows it. */
  readonly title: string;
}

export class Lab {
  readonly id: string;
  readonly title: string;
  /** For configuration, logs and sockets; removed with the lab. */
  readonly directory: string;
  readonly #startedAtMs = Date.now();
  readonly #sweeper: Sweeper;
  readonly #addresses = new Map<string, string[]>();
  readonly #daemons: Daemon[] = [];
  readonly #files: Record<string, string> = {};
  #adding: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: LabOptions) {
    this.id = freeId();
    this.title = options.title;
    this.directory = join(tmpdir(), `${DIRECTORY_MARK}${this.id}`);
    // The state comes first: whatever happens next, `lab down` finds what is left.
    this.#writeState();
    mkdirSync(this.directory, { recursive: true });
    this.#sweeper = startSweeper(this.id, this.directory);
    closeOnSignal(this);
  }

  get hosts(): readonly string[] {
    return [...this.#addresses.keys()];
  }

  get daemons(): readonly Daemon[] {
    return this.#daemons;
  }

  get sweeperPid(): number {
    return this.#sweeper.pid;
  }

  namespaceOf(host: string): string {
    return `${this.id}-${host}`;
  }

  /** Makes empty hosts: a namespace each, with `lo` up. */
  async addHosts(names: readonly string[]): Promise<void> {
    if (this.#closing !== undefined) throw new Error(`lab ${this.id} is closed`);
    for (const name of names) this.#addresses.set(name, []);
    this.#writeState();
    this.#adding = addNamespaces(names.map((name) => this.namespaceOf(name)));
    await this.#adding;
    await Promise.all(names.map((name) => this.ip(name, ['link set lo up'])));
  }

  /** Runs `ip` commands on a host, in one process: `ip(host, ['link set eth0 up'])`. */
  async ip(host: string, lines: readonly string[]): Promise<void> {
    const argv = ['ip', '-n', this.namespaceOf(host), '-batch', '-'];
    await run(argv, { input: `${lines.join('\n')}\n` });
  }

  /** Runs a program on a host to its end. */
  async exec(host: string, argv: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run([...this.#prefix(host), ...argv], options);
  }

  execSync(host: string, argv: readonly string[], options: RunOptions = {}): Output {
    return runSync([...this.#prefix(host), ...argv], options);
  }

  /** Starts a program on a host; it ends with the lab at the latest. */
  spawn(host: string, options: DaemonOptions): Daemon {
    const where = { host, prefix: this.#prefix(host), directory: this.directory };
    const daemon = new Daemon(where, options);
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Notes a host's address for `lab list`. */
  noteAddresses(host: string, addresses: readonly string[]): void {
    this.#addresses.get(host)!.push(...addresses);
    this.#writeState();
  }

  /** Writes a file into the lab's directory and returns its path. */
  writeFile(name: string, text: string | Uint8Array): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** Notes a path that a visitor may want to find, such as the director's socket. */
  noteFile(name: string, path: string): void {
    this.#files[name] = path;
    this.#writeState();
  }

  /** Ends everything and removes it. Any number of times. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // A namespace that is added behind the sweeper's back would stay.
    await this.#adding.catch(() => {});
    // Those who want to say something at their end get the chance; the sweeper ends the rest.
    await Promise.all(this.#daemons.map((daemon) => daemon.stop()));
    await this.#sweeper.sweep();
    forget(this);
  }

  #prefix(host: string): string[] {
    if (!this.#addresses.has(host)) {
      throw new Error(`lab ${this.id} has no host ${host}; it has ${this.hosts.join(', ')}`);
    }
    return ['ip', 'netns', 'exec', this.namespaceOf(host)];
  }

  #writeState(): void {
    if (this.#closing !== undefined) return;
    writeState({
      id: this.id,
      title: this.title,
      ownerPid: process.pid,
      ownerStartTicks: startTicksOf(process.pid)!,
      startedAtMs: this.#startedAtMs,
      directory: this.directory,
      hosts: [...this.#addresses].map(([name, addresses]) => ({ name, addresses })),
      files: this.#files,
    });
  }
}

async function addNamespaces(names: readonly string[]): Promise<void> {
  try {
    await run(['ip', '-batch', '-'], {
      input: names.map((name) => `netns add ${name}\n`).join(''),
    });
  } catch (error) {
    if (!(error instanceof CommandError) || !/not permitted/.test(error.message)) throw error;
    throw new UsageError(
      `cannot make network namespaces here: ${error.message}; ` +
        'the lab needs CAP_SYS_ADMIN and CAP_NET_ADMIN: start a container with --privileged',
    );
  }
}

let labCount = 0;

/**
 * The next id of this process that no lab has; a dead one of an earlier process may have left some.
 */
function freeId(): string {
  for (;;) {
    const id = `fw${process.pid}-${++labCount}`;
    if (readState(id) === undefined && labNamespaces(id).length === 0) return id;
  }
}
