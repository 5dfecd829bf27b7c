// Several workers and a source pool that reloads change: what each worker takes for a new flow, and
// what flows have that go by addresses that left the pool, comes back to that worker, as the
// program says that the kernel deals frames out by.
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { createTableBuilder } from '../../src/control/build-table.ts';
import { retiredSources } from '../../src/control/retired-sources.ts';
import { wantedFrames } from '../../src/control/wanted-frames.ts';
import { buildFanoutProgram } from '../../src/datapath/fanout-program.ts';
import { takeTable } from '../../src/director/director.ts';
import { runClassicBpf } from '../datapath/classic-bpf.ts';
import { replyTo } from '../packets/pieces.ts';
import { introduce, NAT_REALS, NAT_VIP, natUdp } from '../packets/scene.ts';
import { ARMS6, introduce6, makeScene6, NAT_REALS6, NAT_VIP6, natUdp6 } from '../packets/scene6.ts';
import { sampleConfig } from './sample-config.ts';

const FAMILIES = [
  {
    ...{ family: 'IPv4', vip: NAT_VIP, real: NAT_REALS[0]!.address, etherType: 0x0800 },
    ...{ addressOf: (letter: string) => `10.0.0.20${letter.charCodeAt(0) - 97}` },
    ...{ request: natUdp, addressAt: 26, portsAt: 34 },
  },
  {
    ...{ family: 'IPv6', vip: NAT_VIP6, real: NAT_REALS6[0]!.address, etherType: 0x86dd },
    ...{ addressOf: (letter: string) => `2001:db8:b::20${letter.charCodeAt(0) - 97}` },
    ...{ request: natUdp6, addressAt: 22, portsAt: 54 },
  },
];

/**
 * Each word is a pool, a letter an address; behind a minus what is forgotten of what left. What
 * stays but `moves` to another place, or another rule, loses the flows that it had.
 */
const CHAINS: readonly { pools: string; moves?: string }[] = [
  { pools: 'a b' },
  { pools: 'ab a', moves: 'a' },
  { pools: 'abc ac', moves: 'ac' },
  { pools: 'a b c' },
  { pools: 'abc d ef' },
  { pools: 'a bc d' },
  { pools: 'abcd ef ef-a ef-b ef-cd gh' },
];

describe.each(FAMILIES)('a pool of $family', (of) => {
  function configOf(pool: string, workers: number): Config {
    const [service] = sampleConfig().services;
    const real = {
      name: of.real,
      address: of.real,
      port: 8080,
      weight: 1,
      interface: ARMS6[1]!.name,
    };
    const web = { ...service!, vips: [of.vip], protocols: ['udp'] as const };
    return sampleConfig({
      workers,
      sourcePool: { addresses: [...pool].map(of.addressOf), ports: { from: 1024, to: 65_535 } },
      services: [{ ...web, method: 'fullnat', reals: [{ ...real, method: 'fullnat' }] }],
    });
  }

  test.each(CHAINS.flatMap((chain) => [1, 2, 3, 4].map((workers) => ({ ...chain, workers }))))(
    'of $workers workers that becomes $pools',
    ({ pools, moves = '', workers }) => {
      const builder = createTableBuilder();
      const scenes = Array.from({ length: workers }, (_, worker) => {
        return makeScene6({ services: [], worker, workers, maximumFlows: 2048 });
      });
      const flows: { since: number; worker: number; letter: string; reply: Uint8Array }[] = [];
      let before: Config | undefined;
      for (const [step, word] of pools.split(' ').entries()) {
        const [pool = '', forgotten = ''] = word.split('-');
        const after = configOf(pool, workers);
        const gone = [...forgotten].map(of.addressOf);
        const retired = (before === undefined ? [] : retiredSources(before, after, []).kept).filter(
          ({ address }) => !gone.includes(address),
        );
        before = { ...after, retiredSources: retired };
        const { table } = builder.build(before, ARMS6);
        const program = buildFanoutProgram(wantedFrames(table), workers);
        const addresses = retired.map(({ address }) => address);
        const known = [...'abcdefgh'].filter(
          (letter) => pool.includes(letter) || addresses.includes(of.addressOf(letter)),
        );
        for (const [worker, scene] of scenes.entries()) {
          takeTable(scene.director, table);
          introduce(scene, NAT_REALS[0]!);
          introduce6(scene, NAT_REALS6[0]!);
          for (let client = 1; client <= 24; client++) {
            const { verdict, frame } = scene.receive(
              of.request({ sourcePort: step * 100 + client }),
            );
            expect(verdict).toBe('send 1');
            const letter = letterOfSource(frame);
            expect(pool).toContain(letter);
            flows.push({
              since: step,
              worker,
              letter,
              reply: replyTo(frame, of.addressAt, of.portsAt),
            });
          }
        }
        for (const { since, worker, letter, reply } of flows) {
          if (!known.includes(letter) || (since < step && moves.includes(letter))) continue;
          const packet = { bytes: reply.subarray(14), packetType: 0, etherType: of.etherType };
          expect([word, letter, runClassicBpf(program, packet)]).toEqual([word, letter, worker]);
        }
      }
    },
  );

  /** The last digit of the address that the real sees. */
  const letterOfSource = (frame: Uint8Array): string => {
    const last = frame[of.addressAt + (of.family === 'IPv4' ? 3 : 15)] as number;
    return String.fromCharCode(97 + last - (of.family === 'IPv4' ? 200 : 0));
  };
});
