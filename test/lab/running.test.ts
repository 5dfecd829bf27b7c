// Whole labs with a director from the build: that traffic goes where it should, and that each break
// breaks what it says. Which way the packets went is for verify to prove.
import { afterEach, describe, expect, it } from 'vitest';
import { curl } from '../../lab/hosts/curl.ts';
import { runIperf3 } from '../../lab/hosts/iperf3.ts';
import { whyNoLab } from '../../lab/requirements.ts';
import { type RunningLab, startLab } from '../../lab/running.ts';
import type { TopologyName } from '../../lab/topologies/topology.ts';

const reason = whyNoLab();

describe.skipIf(reason !== undefined)(`a running lab${reason ? `: ${reason}` : ''}`, () => {
  let running: RunningLab | undefined;

  afterEach(async () => {
    await running?.close();
    running = undefined;
  });

  /** The reals that answer three requests in turn; `none` for a request without an answer. */
  async function answers({ lab, topology }: RunningLab): Promise<string[]> {
    const url = `http://${topology.vip}/`;
    const reals: string[] = [];
    for (let request = 0; request < 3; request++) {
      const answer = await curl(lab, { host: 'client', url, timeoutSeconds: 1 });
      reals.push(answer.real ?? 'none');
    }
    return reals;
  }

  it.each(['dsr', 'nat'] as const)('%s: carries HTTP, TCP and UDP', async (name) => {
    running = await startLab({ topology: name });
    const { lab, topology, director } = running;
    expect(await answers(running)).toEqual(['r1', 'r2', 'r3']);
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const direction of ['upload', 'download'] as const) {
        const test = { host: 'client', address: topology.vip, seconds: 1, protocol, direction };
        const result = await runIperf3(lab, test);
        expect(result.receivedBytes, `${protocol} ${direction}`).toBeGreaterThan(50_000);
      }
    }
    const { services } = await director.status();
    expect(services[0]!.reals.map((real) => real.openedFlows)).toEqual([1, 1, 1]);
    expect(await director.stop()).toMatchObject({ event: 'summary' });
  });

  it.each<[TopologyName, string, string[]]>([
    ['dsr', 'no-vip-on-lo', ['r1', 'none', 'r3']],
    ['dsr', 'arp-real', ['r2', 'r2', 'r2']],
    ['dsr', 'real-dead', ['r1', 'none', 'r3']],
    ['dsr', 'bad-checksum', ['none', 'none', 'none']],
    ['nat', 'no-return-route', ['none', 'none', 'none']],
    ['nat', 'real-dead', ['r1', 'none', 'r3']],
    ['nat', 'bad-checksum', ['none', 'none', 'none']],
  ])('%s with %s answers as broken as it is', async (topology, breakName, expected) => {
    running = await startLab({ topology, breakName });
    expect(await answers(running)).toEqual(expected);
  });
});
