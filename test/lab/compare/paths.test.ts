// The paths of a comparison on this machine: that each opens and answers, says which processes are
// its balancer's, carries UDP if it says so, and leaves nothing; and what a broken peer looks like.
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { OpenPath, Path } from '../../../lab/compare/path.ts';
import { PATHS } from '../../../lab/compare/paths/all.ts';
import { HAPROXY_PLAN, startHaproxy } from '../../../lab/compare/paths/haproxy.ts';
import { ipvsScript } from '../../../lab/compare/paths/ipvs.ts';
import { comparing, pathOf } from '../../../lab/compare/paths/open-path.ts';
import type { PathName } from '../../../lab/compare/result.ts';
import { arrivedPackets, PACKETS_PORT, SOCKPERF_PORT } from '../../../lab/compare/servers.ts';
import { curl } from '../../../lab/hosts/curl.ts';
import { type Iperf3Options, runIperf3 } from '../../../lab/hosts/iperf3.ts';
import { isListening } from '../../../lab/hosts/listening.ts';
import type { Lab } from '../../../lab/net/lab.ts';
import { whyNoLab } from '../../../lab/requirements.ts';
import { DSR } from '../../../lab/topologies/dsr.ts';
import { NAT } from '../../../lab/topologies/nat.ts';
import { until } from '../../../lab/wait.ts';
import { processesOf, remainsOf } from '../remains.ts';

const reason = whyNoLab();
const pathNamed = (name: PathName): Path => PATHS.find((path) => path.name === name)!;

/** The reals that answer `count` requests in turn; what went wrong in place of an answer. */
async function answers({ lab, target }: OpenPath, count: number): Promise<string[]> {
  const reals: string[] = [];
  for (let request = 0; request < count; request++) {
    const answer = await curl(lab, { host: 'client', url: `http://${target}/` });
    reals.push(answer.ok ? answer.real! : answer.error);
  }
  return reals;
}

async function sendDatagrams({ lab, target }: OpenPath, count: number): Promise<void> {
  const script = `for i in $(seq ${count}); do echo x > /dev/udp/${target}/${PACKETS_PORT}; done`;
  await lab.exec('client', ['bash', '-c', script]);
}

/** Not its `comm`, which Node sets from version 24 on. */
const programOf = (pid: number): string => basename(readlinkSync(`/proc/${pid}/exe`));

/** Two connections at once; what sockperf says of those that got no answers. */
async function pingPong({ lab, target }: OpenPath): Promise<string[]> {
  const port = String(SOCKPERF_PORT);
  const argv = ['sockperf', 'ping-pong', '--tcp', '-i', target, '-p', port, '-t', '1'];
  const clients = [1, 2].map(() => lab.exec('client', argv, { timeoutMs: 10_000 }));
  const outputs = (await Promise.all(clients)).map(({ stdout }) => stdout);
  return outputs.filter((stdout) => !stdout.includes('Summary: Latency is'));
}

/** By iperf3, whose receiver may leave out the last of so short a test. */
async function receivedBytes(lab: Lab, test: Iperf3Options): Promise<number> {
  // A server that has not yet ended the test before is busy, and says so.
  const result = await until('iperf3 to take the test', () => runIperf3(lab, test));
  return result.receivedBytes;
}

/** Bulk by TCP, and where UDP is carried, by UDP, and datagrams that nobody answers. */
async function transfer(each: OpenPath): Promise<void> {
  const { lab, topology, target, path } = each;
  const test = { host: 'client', address: target, seconds: 5, bytes: 3_000_000 };
  expect(await receivedBytes(lab, test), path.name).toBeGreaterThan(0);
  if (!each.carriesUdp) return;
  const udp = { ...test, protocol: 'udp', bitsPerSecond: 100_000_000 } as const;
  expect(await receivedBytes(lab, udp), path.name).toBeGreaterThan(0);
  await sendDatagrams(each, 5);
  await until('five datagrams', async () => (await arrivedPackets(lab, topology)) === 5);
}

describe('the list of paths', () => {
  it('has the order of the rows', () => {
    expect(PATHS.map(({ name }) => name)).toEqual([
      'none',
      ...['furiwake-dsr-ring', 'furiwake-nat-ring', 'furiwake-dsr-tc', 'furiwake-nat-tc'],
      ...['furiwake-fullnat', 'furiwake-ipip'],
      ...['furiwake-gue', 'furiwake-dsr-cap', 'furiwake-nat-cap'],
      ...['routing', 'nft-dnat', 'nft-fwd', 'haproxy', 'nginx-stream', 'ipvs-dr', 'ipvs-nat'],
    ]);
  });

  it('tells every path by its title and says in one line what it does', () => {
    expect(new Set(PATHS.map(({ title }) => title)).size).toBe(PATHS.length);
    expect(PATHS.filter(({ summary }) => summary === '' || summary.includes('\n'))).toEqual([]);
  });

  it('sets IPVS up with the services and reals of the others', () => {
    expect(ipvsScript(comparing(DSR)).split('\n').slice(0, 4)).toEqual([
      'ip address add 192.0.2.100/32 dev eth0',
      'ipvsadm -A -t 192.0.2.100:80 -s rr',
      'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -g',
      'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.12:80 -g',
    ]);
    const nat = ipvsScript(comparing(NAT));
    expect(nat).toContain('net.ipv4.ip_forward=1');
    expect(nat).toContain('ipvsadm -A -u 198.51.100.100:9 -s sh');
    expect(nat.match(/ -m$/gm)).toHaveLength(15);
  });
});

describe.skipIf(reason !== undefined)(`paths${reason ? `: ${reason}` : ''}`, () => {
  const opened: OpenPath[] = [];

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
  });

  async function open(path: Path): Promise<OpenPath> {
    const each = await path.open();
    opened.push(each);
    return each;
  }

  /** Reals by request, and programs of the balancer. */
  const EXPECTED: Partial<Record<PathName, readonly [reals: number, programs: string[]]>> = {
    none: [1, []],
    'furiwake-dsr-ring': [3, ['node']],
    'furiwake-nat-ring': [3, ['node']],
    'furiwake-dsr-tc': [3, ['node']],
    'furiwake-nat-tc': [3, ['node']],
    'furiwake-fullnat': [3, ['node']],
    'furiwake-ipip': [3, ['node']],
    'furiwake-gue': [3, ['node']],
    'furiwake-dsr-cap': [3, ['node', 'node']],
    'furiwake-nat-cap': [3, ['node', 'node']],
    routing: [1, []],
    'nft-dnat': [3, []],
    'nft-fwd': [0, []],
    haproxy: [3, ['haproxy', 'haproxy']],
    'nginx-stream': [0, ['nginx']],
  };

  async function tryOut(name: PathName): Promise<void> {
    const path = pathNamed(name);
    if ((await path.whyNot()) !== undefined) return;
    const [reals, programs] = EXPECTED[name]!;
    const each = await open(path);
    const { lab } = each;
    const answered = await answers(each, 3);
    expect(
      answered.filter((real) => /^r[123]$/.test(real)),
      `${name}: ${answered}`,
    ).toHaveLength(3);
    if (reals > 0) expect(new Set(answered).size, `${name}: ${answered}`).toBe(reals);
    expect(each.processes().map(programOf), name).toEqual(expect.arrayContaining(programs));
    expect(each.processes().length > 0, name).toBe(programs.length > 0);
    expect(each.whyDead(), name).toBeUndefined();
    const [silent] = await Promise.all([pingPong(each), transfer(each)]);
    expect(silent, name).toEqual([]);
    const known = { id: lab.id, directory: lab.directory, pids: await processesOf(lab.id) };
    await each.close();
    expect(remainsOf(known), name).toEqual([]);
    expect(each.processes(), name).toEqual([]);
  }

  it.each<{ names: PathName[] }>([
    { names: ['none', 'furiwake-dsr-ring', 'furiwake-nat-ring'] },
    { names: ['furiwake-fullnat', 'furiwake-ipip', 'furiwake-gue'] },
    { names: ['furiwake-dsr-cap', 'furiwake-nat-cap', 'routing'] },
    { names: ['nft-dnat', 'nft-fwd', 'furiwake-dsr-tc', 'furiwake-nat-tc'] },
    { names: ['haproxy', 'nginx-stream'] },
  ])('$names open, carry traffic and leave nothing', async ({ names }) => {
    const ends = await Promise.allSettled(names.map(tryOut));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });

  it.skipIf(existsSync('/proc/net/ip_vs'))('ipvs says what is missing, and the mend', async () => {
    for (const name of ['ipvs-dr', 'ipvs-nat'] as const) {
      const why = await pathNamed(name).whyNot();
      expect(why).toMatch(/the kernel \S+ has no IPVS .*modprobe ip_vs/);
      expect(why).not.toContain('\n');
    }
  });

  /** HAProxy with something wrong before it starts; the error, and what is left of its lab. */
  async function brokenBy(breakIt: (lab: Lab) => Promise<void>) {
    let lab: Lab | undefined;
    const path = pathOf({
      ...HAPROXY_PLAN,
      start: async (built, topology) => {
        lab = built;
        await breakIt(built);
        return startHaproxy(built, topology);
      },
    });
    const error = await open(path).then(
      () => new Error('it opened'),
      (thrown: unknown) => thrown as Error,
    );
    if (lab === undefined) throw error;
    const remains = remainsOf({ id: lab.id, directory: lab.directory, pids: [] });
    return { message: error.message, remains };
  }

  it('a peer that cannot start or does not answer is one error, and nothing is left', async () => {
    const [taken, silent] = await Promise.all([
      brokenBy(async (lab) => {
        lab.spawn('director', { name: 'iperf3', argv: ['iperf3', '-s', '-p', '80'] });
        await until('port 80 to be taken', () => isListening(lab, 'director', 'tcp', 80));
      }),
      brokenBy((lab) => lab.ip('director', ['link set eth1 down'])),
    ]);
    expect(taken.message).toMatch(/^HAProxy: .*http:\/\/198\.51\.100\.100\/.*haproxy.*in use/i);
    expect(silent.message).toMatch(/^HAProxy: waited 10 s for an answer .*haproxy said last: /);
    for (const { message, remains } of [taken, silent]) {
      expect(message).not.toContain('\n');
      expect(remains).toEqual([]);
    }
  });

  it('a real whose decap ends is found dead too', async () => {
    const path = pathNamed('furiwake-ipip');
    if ((await path.whyNot()) !== undefined) return;
    const each = await open(path);
    expect(each.configs.map(({ name }) => name)).toEqual(['furiwake.yaml', 'on each real']);
    const pids = await processesOf(each.lab.id);
    const argvOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    process.kill(pids.find((pid) => argvOf(pid).includes('decap'))!, 'SIGKILL');
    const why = await until('its end to be noticed', () => each.whyDead());
    expect(why).toMatch(/^decap on r[123] ended \(SIGKILL\)/);
  });

  it('a balancer that ends later is found dead', async () => {
    const each = await open(pathNamed('furiwake-dsr-ring'));
    expect(each.whyDead()).toBeUndefined();
    process.kill(each.processes()[0]!, 'SIGKILL');
    const why = await until('its end to be noticed', () => each.whyDead());
    expect(why).toMatch(/^furiwake on director ended \(SIGKILL\)/);
    expect(each.processes()).toEqual([]);
    expect(each.configs.map(({ name }) => name)).toEqual(['furiwake.yaml']);
  });
});
