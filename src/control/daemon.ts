// The director's process: it checks, installs the guard, starts the data plane and serves the API,
// and takes all of that away again however it ends. Data planes come and go beneath it: one that
// lost its interface, or a child process that died with its link, is started again when it can be.
import { rmSync } from 'node:fs';
import type { Config, RetiredSource } from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import { configWarnings } from '../config/warnings.ts';
import type { Arm, LinkState } from '../datapath/datapath.ts';
import { GLOBAL } from '../director/counters.ts';
import { hostAddresses, linkState } from '../linux/interfaces.ts';
import { keepGroups } from '../linux/multicast-groups.ts';
import { ApiError, type ApiServer, serveApi } from './api.ts';
import { armOf } from './arms.ts';
import { type BuiltTable, createTableBuilder } from './build-table.ts';
import type { DataPlane } from './data-plane-host.ts';
import { fillStatus } from './fill-status.ts';
import type { Routes } from './find-hops.ts';
import { createFlowQuestions } from './flow-questions.ts';
import { createForgetting } from './forget-sources.ts';
import { guardRules } from './guard-rules.ts';
import { type HostFacts, readHostFacts } from './host-facts.ts';
import { type GuardKeeper, keepGuard, NO_GUARD } from './keep-guard.ts';
import type { FromDataPlane } from './messages.ts';
import { clearGauges, makeCounters, sumWorkers, takeCounters } from './plane-counters.ts';
import { chooseGuard, findProblems, type GuardChoice } from './preflight.ts';
import { reloadConfig, reloadWarnings } from './reload.ts';
import { formatBanner, formatSummary } from './report.ts';
import { retiredSources } from './retired-sources.ts';
import { createRunLog, type RunLog } from './run-log.ts';
import { pause, type RunSignals } from './signals.ts';
import { startWorkers } from './start-workers.ts';
import type { Status } from './status.ts';
import { wantedGroups } from './wanted-frames.ts';
import { watchReals } from './watch-reals.ts';

const LINK_POLL_MS = 200;
const REAL_POLL_MS = 250;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5000;
/** A data plane that ran so long did not fail at once: the next retry is quick again. */
const GOOD_RUN_MS = 10_000;
/** A host that claims a VIP does so again and again; it is told of so often. */
const CONFLICT_SILENCE_MS = 60_000;
const NO_ROOM =
  'with those that there were since the start these are more services or reals than there is ' +
  'room for: restart the director';
/** By then every worker has a new table, and counts anew who goes by what left the pool. */
const RETIRED_PAUSE_MS = 5000;

export interface RunOptions {
  /** Prints one JSON object a line instead of text. */
  readonly json: boolean;
  readonly signals: RunSignals;
}

/**
 * Runs a director until SIGTERM or SIGINT.
 * @returns the exit code: 0 stopped as asked, 1 it had to give up, 2 it could not start as
 * configured
 */
export function runDirector(config: Config, { json, signals }: RunOptions): Promise<number> {
  const log = createRunLog({ json });
  const facts = readHostFacts(config);
  const problems = findProblems(config, facts);
  for (const problem of problems) log.problem(problem);
  if (problems.length > 0) return Promise.resolve(2);
  return new Daemon({ config, facts, log, signals }).run();
}

interface DaemonOptions {
  readonly config: Config;
  readonly facts: HostFacts;
  readonly log: RunLog;
  readonly signals: RunSignals;
}

class Daemon {
  readonly #log: RunLog;
  readonly #signals: RunSignals;
  readonly #stop: AbortSignal;
  readonly #startedAtMs = Date.now();
  readonly #builder = createTableBuilder();
  readonly #groups = keepGroups();
  readonly #shared;
  readonly #guardChoice: GuardChoice;
  readonly #guard: GuardKeeper;
  readonly #questions = createFlowQuestions((message) => this.#plane?.post(message));
  /** For an end without `#leave`, such as that of a bug. */
  readonly #removeSocket = () => rmSync(this.#config.socket, { force: true });
  readonly #forget = createForgetting({
    retired: () => this.#config.retiredSources ?? [],
    keepOnly: (rest) => this.#keepOnly(rest),
    inTurn: (change) => this.#inTurn(change),
    nowMs: () => performance.now(),
    log: { event: (...words) => this.#log.event(...words) },
  });
  readonly #conflicts = new Map<string, number>();
  #config: Config;
  #arms: Arm[];
  #links: LinkState[];
  #built: BuiltTable;
  /** By which it was built. */
  #routes: Routes;
  #plane: DataPlane | undefined;
  #counterBase: Float64Array;
  #api: ApiServer | undefined;
  /** When the data plane was last given a table. */
  #takenMs = 0;
  #wasReady = false;
  #failure: string | undefined;
  #reloading: Promise<void> = Promise.resolve();

  constructor({ config, facts, log, signals }: DaemonOptions) {
    this.#config = config;
    this.#log = log;
    this.#signals = signals;
    this.#stop = signals.stop;
    this.#shared = makeCounters(config);
    this.#counterBase = this.#shared.counters.values.slice();
    this.#arms = armsOf(facts);
    this.#links = this.#arms.map((arm) => linkState(arm.name, arm.interfaceIndex));
    this.#routes = facts.routes;
    this.#built = this.#builder.build(config, this.#arms, facts.routes);
    this.#guardChoice = chooseGuard(config, facts);
    this.#guard = this.#guardChoice.kind === 'none' ? NO_GUARD : this.#makeGuard();
  }

  async run(): Promise<number> {
    const watch = watchReals(this.#shared.counters, this.#log);
    const timer = setInterval(() => {
      sumWorkers(this.#shared);
      watch.look(this.#built, this.#arms);
      this.#lookAtRetired();
    }, REAL_POLL_MS);
    let code: number;
    try {
      code = await this.#serve();
    } finally {
      clearInterval(timer);
      await this.#leave();
    }
    if (this.#wasReady) {
      const status = this.#status();
      this.#log.event('summary', formatSummary(status), { status });
    }
    return code;
  }

  async #serve(): Promise<number> {
    const problem = (await this.#guard.install()) ?? (await this.#openApi());
    if (problem !== undefined) {
      this.#log.problem(problem);
      return 2;
    }
    await this.#joinGroups();
    this.#signals.onReload(() => this.#inTurn(() => this.#reload()));
    this.#stop.addEventListener('abort', () => void this.#plane?.stop());
    return this.#keepRunning();
  }

  async #openApi(): Promise<string | undefined> {
    const { socket } = this.#config;
    try {
      const status = () => this.#status();
      this.#api = await serveApi({ socket, status, flows: this.#questions.ask });
    } catch (error) {
      if (error instanceof ApiError) return error.message;
      throw error;
    }
    process.on('exit', this.#removeSocket);
    return undefined;
  }

  /** One data plane after another, until it shall stop or cannot go on. */
  async #keepRunning(): Promise<number> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#stop.aborted) {
      await this.#waitForInterfaces();
      if (this.#stop.aborted || this.#failure !== undefined) break;
      const startedMs = performance.now();
      const reason = await this.#runDataPlane();
      if (this.#failure !== undefined) return this.#giveUp(this.#failure);
      // Its interface went, or it was asked to stop.
      if (reason === undefined || this.#stop.aborted || this.#lookForGone()) continue;
      if (this.#config.datapath !== 'cap' || !this.#wasReady) return this.#giveUp(reason);
      retryMs = performance.now() - startedMs > GOOD_RUN_MS ? FIRST_RETRY_MS : retryMs;
      this.#log.event('data-plane', `${this.#explainEnd(reason)}; it is started again when it can`);
      await pause(retryMs, this.#stop);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    }
    return this.#failure === undefined ? 0 : this.#giveUp(this.#failure);
  }

  /** A child that lost its link says much about itself and nothing of the link. */
  #explainEnd(reason: string): string {
    return this.#links.includes('down')
      ? 'the data plane ended with its link, as the package cap does'
      : reason;
  }

  #giveUp(reason: string): number {
    this.#log.problem(reason);
    return this.#wasReady ? 1 : 2;
  }

  /** Runs one data plane to its end; gives the reason, or undefined if it was asked to stop. */
  #runDataPlane(): Promise<string | undefined> {
    const { datapath, ringSlots, maximumFlows, maximumHalfOpen } = this.#config;
    const { counters, workers, memories } = this.#shared;
    for (const worker of workers) clearGauges(worker);
    this.#counterBase = counters.values.slice();
    return new Promise((resolve) => {
      const start = {
        ...{ datapath, ringSlots, maximumFlows, maximumHalfOpen },
        ...{ arms: this.#arms, room: counters.room },
        table: this.#built.table,
      };
      this.#plane = startWorkers(start, datapath === 'cap' ? [undefined] : memories, {
        onMessage: (message) => this.#hear(message),
        onEnd: (reason) => {
          this.#plane = undefined;
          this.#questions.abandon();
          resolve(reason);
        },
      });
    });
  }

  #hear(message: FromDataPlane): void {
    if (message.type === 'ready') this.#ready();
    else if (message.type === 'link') this.#setLink(message.arm, message.state);
    else if (message.type === 'conflict') this.#tellConflict(message);
    else if (message.type === 'flows') this.#questions.answer(message.request, message.flows);
    else if (message.type === 'notice') this.#log.event('notice', message.text);
    else if (message.type === 'counters') {
      takeCounters(this.#shared.counters, this.#counterBase, message.values);
    }
  }

  #ready(): void {
    if (this.#wasReady) {
      this.#log.event('data-plane', 'the data plane works again, with an empty flow table');
      return;
    }
    this.#wasReady = true;
    const status = this.#status();
    const text = formatBanner(status, this.#guardChoice, this.#config.socket);
    this.#log.event('started', text, { status });
    for (const warning of configWarnings(this.#config)) this.#log.event('warning', warning);
    for (const arm of status.arms) {
      if (arm.link !== 'up') this.#log.event('link', `${arm.name} is ${arm.link}: waiting for it`);
    }
  }

  #setLink(index: number, state: LinkState): void {
    const name = this.#arms[index]?.name ?? '';
    if (this.#links[index] === state) return;
    this.#links[index] = state;
    const then = { up: 'up again', down: 'down: waiting for it', gone: 'gone: waiting for it' };
    this.#log.event('link', `${name} is ${then[state]}`, { arm: name, link: state });
    if (state === 'gone') void this.#plane?.stop();
  }

  #tellConflict({ vip, mac, arm }: Extract<FromDataPlane, { type: 'conflict' }>): void {
    if (this.#config.retiredSources?.some(({ address }) => address === vip)) {
      this.#forget([vip], `another host, ${mac}, has it now`);
      return;
    }
    const name = this.#arms[arm]?.name ?? '';
    const key = `${vip} ${mac} ${name}`;
    const nowMs = performance.now();
    if (nowMs - (this.#conflicts.get(key) ?? -Infinity) < CONFLICT_SILENCE_MS) return;
    this.#conflicts.set(key, nowMs);
    const reals = this.#status().services.flatMap((service) => service.reals);
    const real = reals.find((row) => row.mac === mac);
    const [how, mend] = isIpv6Text(vip)
      ? ['NDP', 'it must have the VIP on lo alone, and proxy_ndp off']
      : ['ARP', 'it needs net.ipv4.conf.all.arp_ignore=1 and arp_announce=2'];
    const text =
      real === undefined
        ? `another host, ${mac} on ${name}, answers ${how} for the VIP ${vip}: a second director?`
        : `the real ${real.address} (${mac} on ${name}) answers ${how} for the VIP ${vip}: ${mend}`;
    this.#log.event('conflict', text, { vip, mac, arm: name });
  }

  /** Looks at all links; true if an interface is gone. */
  #lookForGone(): boolean {
    for (const [index, arm] of this.#arms.entries()) {
      this.#setLink(index, linkState(arm.name, arm.interfaceIndex));
    }
    return this.#links.includes('gone');
  }

  /** Waits for interfaces that are gone and, for cap, which cannot start on them, links down. */
  async #waitForInterfaces(): Promise<void> {
    let told = '';
    while (!this.#stop.aborted && this.#failure === undefined) {
      const gone = this.#lookForGone();
      const ready = this.#config.datapath !== 'cap' || !this.#links.includes('down');
      if (!gone && ready) return;
      const problem = gone ? await this.#takeNewInterfaces() : '';
      if (problem !== '' && problem !== told) this.#log.event('waiting', problem);
      told = problem;
      await pause(LINK_POLL_MS, this.#stop);
    }
  }

  /** Makes arms, table and guard anew for interfaces that are back. Returns what is missing. */
  async #takeNewInterfaces(): Promise<string> {
    const facts = readHostFacts(this.#config);
    const problems = findProblems(this.#config, facts);
    if (problems.length > 0) return problems.join('\n');
    const arms = armsOf(facts);
    const bare = arms.find((arm, index) => hasLost(arm, this.#arms[index]));
    if (bare !== undefined) return `${bare.name} is back, but has no address yet`;
    this.#arms = arms;
    this.#built = this.#builder.build(this.#config, arms, facts.routes);
    this.#routes = facts.routes;
    const problem = await this.#guard.install();
    if (problem !== undefined) this.#failure = problem;
    // An interface that went took its memberships along.
    this.#groups.close();
    await this.#joinGroups();
    return '';
  }

  async #joinGroups(): Promise<void> {
    await this.#groups.keep(wantedGroups(this.#built.table), this.#config.interfaces);
  }

  #refuse(problems: readonly string[]): false {
    const text = `not reloaded, the old configuration stays: ${problems.join('\n')}`;
    this.#log.event('reload', text);
    return false;
  }

  async #reload(): Promise<void> {
    const old = this.#config;
    const result = reloadConfig(old);
    if (!result.ok) {
      this.#refuse(result.problems);
      return;
    }
    const own = hostAddresses().map(({ address }) => address);
    const { kept: retired, givenUp } = retiredSources(old, result.config, own);
    const config = { ...result.config, retiredSources: retired };
    const { table } = this.#built;
    if (!(await this.#take(config))) return;
    const text = `reloaded ${config.file}: ${config.services.map(({ name }) => name).join(', ')}`;
    this.#log.event('reload', text);
    const known = configWarnings(old);
    const dealt = reloadWarnings(config.workers, table, this.#built.table);
    for (const warning of [...dealt, ...configWarnings(config)]) {
      if (!known.includes(warning)) this.#log.event('warning', warning);
    }
    const [before, after] = [addressesOf(old.retiredSources), addressesOf(retired)];
    for (const address of after.filter((each) => !before.includes(each))) {
      const until = 'answered for until no flow goes by it any more';
      this.#log.event('pool', `${address} left the sourcePool: ${until}`, { address });
    }
    for (const address of givenUp) {
      const why = 'too many left the sourcePool, or there are too many VIPs beside them';
      const text = `${address} is answered for no longer, and its flows end: ${why}`;
      this.#log.event('pool', text, { address });
    }
  }

  /** Makes a configuration the running one, whole or not at all; false: refused, and said so. */
  async #take(config: Config): Promise<boolean> {
    // While an interface is gone its own problem would hide all others, and the new table as well.
    if (this.#links.includes('gone')) return this.#refuse(['an interface is gone']);
    const facts = readHostFacts(config);
    const problems = findProblems(config, facts);
    if (problems.length > 0) return this.#refuse(problems);
    const problem = await this.#put(config, facts.routes);
    return problem === undefined || this.#refuse([problem]);
  }

  /** Makes it the running one, whole or not at all; gives what keeps it from that. */
  async #put(config: Config, routes: Routes): Promise<string | undefined> {
    const built = this.#rebuild(config, routes);
    if (typeof built === 'string') return built;
    const old = this.#config;
    this.#config = config;
    const problem = this.#hasRoom(built) ? await this.#guard.update() : NO_ROOM;
    if (problem !== undefined) {
      built.undo();
      this.#config = old;
      return problem;
    }
    [this.#built, this.#routes] = [built, routes];
    this.#takenMs = performance.now();
    this.#plane?.post({ type: 'table', table: built.table });
    await this.#joinGroups();
    return undefined;
  }

  /** Gives up addresses that left the pool, once no flow goes by any of them. */
  #lookAtRetired(): void {
    const { retiredSources: retired = [] } = this.#config;
    if (retired.length === 0 || this.#links.includes('gone')) return;
    if (performance.now() - this.#takenMs < RETIRED_PAUSE_MS) return;
    if (this.#shared.counters.values[GLOBAL.retiredFlows] !== 0) return;
    this.#takenMs = performance.now();
    this.#forget(addressesOf(retired), 'no flow goes by it any more');
  }

  /** Answers for no other of what left the pool; nothing else of host or file is looked at. */
  async #keepOnly(rest: readonly RetiredSource[]): Promise<string | undefined> {
    if (this.#links.includes('gone')) return 'an interface is gone';
    return this.#put({ ...this.#config, retiredSources: rest }, this.#routes);
  }

  /** Changes of the configuration happen one after the other. */
  #inTurn(change: () => Promise<void>): void {
    this.#reloading = this.#reloading
      .then(change)
      // What a reload throws must end neither the director nor its way of leaving.
      .catch((error) => this.#log.event('reload', `the reload failed: ${messageOf(error)}`));
  }

  /** The arms are those of the start, so what fresh facts allow may still lead nowhere by them. */
  #rebuild(config: Config, routes: Routes): BuiltTable | string {
    try {
      return this.#builder.build(config, this.#arms, routes);
    } catch (error) {
      const advice = 'addresses of an interface changed since the start? restart the director';
      return `${messageOf(error)}; ${advice}`;
    }
  }

  /** Ids grow with every service and real there ever was; rows for them are made at start. */
  #hasRoom({ services }: BuiltTable): boolean {
    const { room } = this.#shared.counters;
    return services.every(
      ({ id, reals, sorry }) =>
        id < room.services &&
        (sorry?.id ?? 0) < room.reals &&
        reals.every((real) => real.id < room.reals),
    );
  }

  #makeGuard(): GuardKeeper {
    return keepGuard({
      interfaces: this.#config.interfaces,
      rules: () => guardRules(this.#config, hostAddresses()),
      stop: this.#stop,
      log: this.#log,
      onFailure: (problem) => {
        this.#failure = problem;
        void this.#plane?.stop();
      },
    });
  }

  #status(): Status {
    sumWorkers(this.#shared);
    return fillStatus({
      config: this.#config,
      arms: this.#arms,
      links: this.#links,
      built: this.#built,
      counters: this.#shared.counters,
      workers: this.#shared.workers,
      guard: this.#guardChoice.kind,
      startedAtMs: this.#startedAtMs,
      childPid: this.#plane?.childPid,
    });
  }

  /** Takes everything away again, whatever of it there is. */
  async #leave(): Promise<void> {
    await this.#reloading;
    await this.#plane?.stop();
    await this.#guard.remove();
    this.#groups.close();
    await this.#api?.close();
    // From here on the socket may be that of the next director.
    process.off('exit', this.#removeSocket);
  }
}

/** Whether an arm has no address of a family of which it had one. */
const hasLost = (arm: Arm, before: Arm | undefined): boolean =>
  (arm.address === 0 && before?.address !== 0) ||
  (arm.prefixLength6 === 0 && before?.prefixLength6 !== 0);

const addressesOf = (retired: readonly RetiredSource[] = []): string[] =>
  retired.map(({ address }) => address);

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const armsOf = (facts: HostFacts): Arm[] =>
  facts.interfaces.flatMap((found) => (found.ok ? armOf(found.interface) : []));
