// The life of flows beside their scheduler: clients that stay with their real, datagrams that are
// scheduled alone, reals that are full, down, drained or starting, and who serves when nobody can.
import { describe, expect, test } from 'vitest';
import { takeTable, tick } from '../../src/director/director.ts';
import {
  CUT_OLD,
  KEEP_OLD,
  RESET_OLD,
  type RealTerms,
  type ServiceLife,
} from '../../src/director/life.ts';
import type { OutboxFrame } from '../../src/director/neighbours.ts';
import { TIMEOUT_MS } from '../../src/flow/tcp-states.ts';
import type { SchedulerName } from '../../src/schedule/scheduler.ts';
import { formatIpv4 } from '../../src/wire/address.ts';
import * as sums from '../../src/wire/checksum.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  CLIENT,
  DSR_REALS,
  DSR_VIP,
  dsrTcp,
  dsrUdp,
  type Host,
  INSIDE,
  introduce,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE,
  replyTcp,
  replyUdp,
  type Scene,
  type SceneReal,
  type SceneService,
  standardServices,
  tableOf,
} from './scene.ts';

const SYN = { flags: tcp.SYN };
const FIN = { flags: tcp.FIN | tcp.ACK };
const SORRY: Host = { mac: '02:00:00:00:0c:09', address: '192.0.2.19' };
const SORRY_REAL: SceneReal = { id: 9, address: SORRY.address, port: 80, arm: OUTSIDE };
const FULLY: RealTerms = { stopsNew: false, old: KEEP_OLD, oldAfterMs: 0, upper: 0, lower: 0 };

const lifeOf = (fields: Partial<ServiceLife> = {}): ServiceLife => ({
  ...{ persistence: undefined, onePacket: false, slowStartMs: 0, sorry: -1, failOpen: false },
  ...fields,
});

/** The standard services with a life, and their reals with terms, by their place in the list. */
const servicesWith = (
  life: Partial<ServiceLife>,
  terms: readonly (Partial<RealTerms> | undefined)[] = [],
  scheduler: SchedulerName = 'rr',
): SceneService[] =>
  standardServices(scheduler).map((service) => ({
    ...service,
    life: lifeOf(life),
    ...((life.sorry ?? -1) >= 0 && service.id < 2 ? { sorry: SORRY_REAL } : {}),
    reals: service.reals.map((real, index) => ({
      ...real,
      weight: terms[index]?.stopsNew ? 0 : 1,
      ...(terms[index] === undefined ? {} : { terms: { ...FULLY, ...terms[index] } }),
    })),
  }));

/** The host that a frame was sent to, by the last bytes of its MAC address; or the verdict. */
function to(scene: Scene, frame: Uint8Array): string {
  const outcome = scene.receive(frame);
  return outcome.verdict.startsWith('send')
    ? Buffer.from(outcome.frame.subarray(4, 6)).toString('hex')
    : outcome.verdict;
}

const pass = (scene: Scene, ms: number) => tick(scene.director, scene.director.nowMs + ms);
const take = (scene: Scene, services: readonly SceneService[]) =>
  takeTable(scene.director, tableOf(services));
const ports = (count: number) => Array.from({ length: count }, (_, n) => 41_000 + n);

/** The neighbours with these addresses answer no more. */
function lose(scene: Scene, ...hosts: readonly Host[]): void {
  const { director } = scene;
  const { neighbours } = director;
  for (let left = 2000; left > 0; left -= 10) {
    for (const host of [...DSR_REALS, ...NAT_REALS, SORRY]) {
      if (!hosts.includes(host) && neighbours.byAddress.size > 0) introduce(scene, host);
    }
    neighbours.dueMs.forEach((_, index) => {
      if (left === 2000) neighbours.dueMs[index] = director.nowMs;
    });
    pass(scene, 10);
  }
}

describe('persistence', () => {
  const persistence = { timeoutMs: 10_000, prefixLength: 96 + 24, family: 4 } as const;
  const from = (source: string, sourcePort = 40_000) => dsrTcp({ ...SYN, source, sourcePort });

  test('keeps a client, and those with its prefix, at their real', () => {
    const scene = makeScene({ services: servicesWith({ persistence }) });
    const first = to(scene, from('198.51.100.7'));
    for (const port of ports(5)) expect(to(scene, from('198.51.100.200', port))).toBe(first);
    expect(to(scene, from('198.51.101.7'))).not.toBe(first);
    expect(scene.director.flows.templates?.active).toBe(2);
  });

  test('is for one service', () => {
    const scene = makeScene({ services: servicesWith({ persistence }) });
    const both = [to(scene, dsrTcp(SYN)), to(scene, dsrTcp({ ...SYN, sourcePort: 1 }))];
    expect(both).toEqual(['0c01', '0c01']);
    to(scene, dsrUdp({ source: '203.0.113.1' }));
    expect(to(scene, dsrUdp())).toBe('0c02');
  });

  test('lasts for its time from the latest new flow on', () => {
    const scene = makeScene({ services: servicesWith({ persistence }) });
    const udp = (sourcePort: number) => natUdp({ sourcePort });
    const first = to(scene, udp(1));
    takeTable(
      scene.director,
      tableOf(
        servicesWith({ persistence }),
        undefined,
        TIMEOUT_MS.map(() => 100),
      ),
    );
    pass(scene, 300_000);
    const second = to(scene, udp(2));
    expect(second).not.toBe(first);
    pass(scene, 9_999);
    expect(to(scene, udp(3))).toBe(second);
    pass(scene, 9_999);
    expect(to(scene, udp(4))).toBe(second);
    pass(scene, 10_000);
    expect(to(scene, udp(5))).not.toBe(second);
  });

  test('lasts while a flow of it lives', () => {
    const scene = makeScene({ services: servicesWith({ persistence }) });
    const first = to(scene, from('198.51.100.7'));
    to(scene, dsrTcp());
    pass(scene, 500_000);
    expect(to(scene, from('198.51.100.8'))).toBe(first);
    for (const frame of [dsrTcp(FIN), from('198.51.100.8')]) to(scene, frame);
    pass(scene, 120_000);
    expect(to(scene, from('198.51.100.9'))).not.toBe(first);
  });

  test('does not lead to a real that is gone, drained or down', () => {
    const scene = makeScene({ services: servicesWith({ persistence }) });
    expect(to(scene, from('198.51.100.7'))).toBe('0c01');
    take(scene, servicesWith({ persistence }, [{ stopsNew: true }]));
    expect(to(scene, from('198.51.100.7', 2))).toBe('0c02');
    take(scene, servicesWith({ persistence }));
    expect(to(scene, from('198.51.100.7', 3))).toBe('0c02');
    expect(to(scene, dsrTcp())).toBe('0c01');
    lose(scene, DSR_REALS[1]!);
    expect(to(scene, from('198.51.100.7', 4))).toBe('0c01');
  });
});

describe('one-packet scheduling', () => {
  test('schedules each datagram alone and remembers none', () => {
    const scene = makeScene({ services: servicesWith({ onePacket: true }) });
    const way = () => to(scene, dsrUdp());
    expect([way(), way(), way(), way()]).toEqual(['0c01', '0c02', '0c01', '0c02']);
    expect(scene.director.flows.active).toBe(0);
  });

  test('leaves TCP as it is', () => {
    const scene = makeScene({ services: servicesWith({ onePacket: true }) });
    const first = to(scene, dsrTcp(SYN));
    expect(to(scene, dsrTcp())).toBe(first);
    expect(scene.director.flows.active).toBe(1);
  });
});

describe('a real with thresholds', () => {
  const open = (scene: Scene, count: number, port = 1) =>
    Array.from({ length: count }, (_, n) => to(scene, dsrTcp({ ...SYN, sourcePort: port + n })));

  test('is full at the upper one, and takes more below the lower one', () => {
    const scene = makeScene({ services: servicesWith({}, [{ upper: 4, lower: 2 }]) });
    const ways = open(scene, 12);
    expect(ways.filter((way) => way === '0c01')).toHaveLength(4);
    const [first, second, third] = ports(12).flatMap((_, n) => (ways[n] === '0c01' ? [n + 1] : []));
    const end = (sourcePort: number) => {
      for (const flags of [tcp.ACK, tcp.RST]) to(scene, dsrTcp({ flags, sourcePort }));
      // A connection that has ended counts until its record goes.
      pass(scene, 10_000);
    };
    end(first!);
    end(second!);
    expect(open(scene, 2, 100)).toEqual(['0c02', '0c02']);
    end(third!);
    expect(open(scene, 2, 200)).toContain('0c01');
  });

  test('is full at the upper one, though a flow less is there when the next one comes', () => {
    const terms = [{ upper: 2, lower: 1 }, { stopsNew: true }];
    const scene = makeScene({ services: servicesWith({}, terms) });
    expect(open(scene, 2)).toEqual(['0c01', '0c01']);
    for (const flags of [tcp.ACK, tcp.RST]) to(scene, dsrTcp({ flags, sourcePort: 1 }));
    expect(open(scene, 1)).toEqual(['drop no-real']);
  });

  test('is full at once where a reload gives it an upper one that it has reached', () => {
    const scene = makeScene({ services: servicesWith({}, [{}, { stopsNew: true }]) });
    expect(open(scene, 2)).toEqual(['0c01', '0c01']);
    take(scene, servicesWith({}, [{ upper: 2, lower: 1 }, { stopsNew: true }]));
    for (const flags of [tcp.ACK, tcp.RST]) to(scene, dsrTcp({ flags, sourcePort: 1 }));
    expect(open(scene, 1)).toEqual(['drop no-real']);
  });

  test('without a lower one takes more below three quarters of the upper one', () => {
    const scene = makeScene({ services: servicesWith({}, [{ upper: 4 }, { stopsNew: true }]) });
    expect(open(scene, 5)).toEqual(['0c01', '0c01', '0c01', '0c01', 'drop no-real']);
    const end = (sourcePort: number) => {
      for (const flags of [tcp.ACK, tcp.RST]) to(scene, dsrTcp({ flags, sourcePort }));
      pass(scene, 10_000);
    };
    end(1);
    expect(open(scene, 1, 100)).toEqual(['drop no-real']);
    end(2);
    expect(open(scene, 3, 200)).toEqual(['0c01', '0c01', 'drop no-real']);
  });
});

describe('when no real can take a new flow', () => {
  const sorry = (scene: Scene) => introduce(scene, SORRY);

  test('it goes to the sorry server, until one can', () => {
    const scene = makeScene({ services: servicesWith({ sorry: 9 }) });
    sorry(scene);
    expect(to(scene, dsrTcp(SYN))).toBe('0c01');
    lose(scene, ...DSR_REALS);
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 2 }))).toBe('0c09');
    expect(to(scene, dsrUdp())).toBe('0c09');
    introduce(scene, DSR_REALS[1]!);
    // The connection lives to its end; datagrams, which have none, go back.
    expect(to(scene, dsrTcp({ sourcePort: 2 }))).toBe('0c09');
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 3 }))).toBe('0c02');
    pass(scene, 10);
    expect(to(scene, dsrUdp())).toBe('0c02');
  });

  test('nobody stays with the sorry server', () => {
    const persistence = { timeoutMs: 10_000, prefixLength: 128, family: 4 } as const;
    const scene = makeScene({ services: servicesWith({ sorry: 9, persistence }) });
    sorry(scene);
    lose(scene, ...DSR_REALS);
    expect(to(scene, dsrTcp(SYN))).toBe('0c09');
    introduce(scene, DSR_REALS[0]!);
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 2 }))).toBe('0c01');
  });

  test('it is refused where nothing else is asked for', () => {
    const scene = makeScene({ services: servicesWith({}) });
    lose(scene, ...DSR_REALS);
    expect(to(scene, dsrTcp(SYN))).toBe('drop no-real');
  });

  test('it fails open: to all reals, where they were when they last answered', () => {
    const scene = makeScene({ services: servicesWith({ failOpen: true }) });
    lose(scene, ...DSR_REALS);
    const way = (sourcePort: number) => to(scene, dsrTcp({ ...SYN, sourcePort }));
    expect([1, 2, 3, 4].map(way)).toEqual(['0c01', '0c02', '0c01', '0c02']);
    introduce(scene, DSR_REALS[1]!);
    expect([5, 6, 7].map(way)).toEqual(['0c02', '0c02', '0c02']);
  });

  test('it does not fail open to a real that is drained or full', () => {
    const services = servicesWith({ failOpen: true }, [{ stopsNew: true }, { upper: 1 }]);
    const scene = makeScene({ services });
    lose(scene, ...DSR_REALS);
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 1 }))).toBe('0c02');
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 2 }))).toBe('drop no-real');
  });
});

describe('a flow whose real is down', () => {
  test('of UDP goes to another real at once', () => {
    const scene = makeScene();
    expect(to(scene, natUdp())).toBe('0d01');
    lose(scene, NAT_REALS[0]!);
    expect(to(scene, natUdp())).toBe('0d02');
    const reply = scene.receive(replyUdp(NAT_REALS[1]!), { arm: INSIDE });
    expect(reply.verdict).toBe('send 0');
  });

  test('of UDP is ended by the sweep as well', () => {
    const scene = makeScene();
    to(scene, dsrUdp());
    lose(scene, DSR_REALS[0]!);
    expect(scene.director.flows.active).toBe(0);
  });

  test('of TCP waits for its real, unless its client begins anew', () => {
    const scene = makeScene();
    to(scene, dsrTcp(SYN));
    expect(to(scene, dsrTcp())).toBe('0c01');
    lose(scene, DSR_REALS[0]!);
    expect(to(scene, dsrTcp())).toBe('drop real-unresolved');
    introduce(scene, DSR_REALS[0]!);
    expect(to(scene, dsrTcp())).toBe('0c01');
    lose(scene, DSR_REALS[0]!);
    expect(to(scene, dsrTcp(SYN))).toBe('0c02');
    expect(to(scene, dsrTcp())).toBe('0c02');
  });
});

describe('a drained real', () => {
  const drained = (fields: Partial<RealTerms>) =>
    servicesWith({}, [{ stopsNew: true, ...fields }], 'sh');

  /** One established connection to the first real, by DSR and by NAT. */
  function connected(): Scene {
    const scene = makeScene({ services: servicesWith({}, [undefined, { stopsNew: true }], 'sh') });
    for (const make of [dsrTcp, natTcp]) to(scene, make(SYN));
    scene.receive(replyTcp(NAT_REALS[0]!, { flags: tcp.SYN | tcp.ACK }), { arm: INSIDE });
    expect([to(scene, dsrTcp()), to(scene, natTcp())]).toEqual(['0c01', '0d01']);
    return scene;
  }

  test('takes no new flow and keeps its old ones', () => {
    const scene = connected();
    take(scene, drained({ old: KEEP_OLD }));
    pass(scene, 800_000);
    expect([to(scene, dsrTcp()), to(scene, natTcp())]).toEqual(['0c01', '0d01']);
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 5 }))).toBe('0c02');
  });

  test('loses its old ones when their time is over: cut', () => {
    const scene = connected();
    take(scene, drained({ old: CUT_OLD, oldAfterMs: 5000 }));
    pass(scene, 4999);
    expect([to(scene, dsrTcp()), to(scene, natTcp())]).toEqual(['0c01', '0d01']);
    pass(scene, 1);
    expect(scene.director.flows.active).toBe(0);
    const late = scene.receive(replyTcp(NAT_REALS[0]!), { arm: INSIDE });
    expect(late.verdict).toBe('drop no-flow');
  });

  test('has its time begin once, not with every table', () => {
    const scene = connected();
    take(scene, drained({ old: CUT_OLD, oldAfterMs: 5000 }));
    pass(scene, 3000);
    take(scene, drained({ old: CUT_OLD, oldAfterMs: 5000 }));
    pass(scene, 2000);
    expect(scene.director.flows.active).toBe(0);
  });

  describe('resets its old ones, with the next packet of each', () => {
    /** Flags, numbers and way of a RST that the director made. */
    const readReset = ({ arm, bytes }: OutboxFrame) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      expect(ipv4.hasGoodChecksum(view, 14)).toBe(true);
      expect(ipv4.check(view, 14, bytes.length)).toBe(0);
      const seed = sums.pseudoHeader(ipv4.source(view, 14), ipv4.destination(view, 14), 6, 20);
      expect(sums.finish(sums.sum(view, 34, 54, seed))).toBe(0);
      return {
        arm,
        to: Buffer.from(bytes.subarray(4, 6)).toString('hex'),
        from: `${formatIpv4(ipv4.source(view, 14))}:${tcp.sourcePort(view, 34)}`,
        at: `${formatIpv4(ipv4.destination(view, 14))}:${tcp.destinationPort(view, 34)}`,
        flags: tcp.flags(view, 34),
        sequence: tcp.sequence(view, 34),
      };
    };

    function spent(): Scene {
      const scene = connected();
      take(scene, drained({ old: RESET_OLD, oldAfterMs: 5000 }));
      pass(scene, 4999);
      expect([to(scene, dsrTcp()), to(scene, natTcp())]).toEqual(['0c01', '0d01']);
      pass(scene, 1);
      expect(scene.director.flows.active).toBe(2);
      return scene;
    }
    const NUMBERS = { sequence: 1000, acknowledgment: 77, payload: Uint8Array.of(1, 2, 3) };
    const { ACK, RST } = tcp;

    test('by DSR', () => {
      const scene = spent();
      const { verdict, own, moved } = scene.receive(dsrTcp({ ...NUMBERS, flags: ACK | tcp.PSH }));
      expect([verdict, moved.resetFlows]).toEqual(['drop flow-reset', 1]);
      const [client, vip] = [`${CLIENT}:40000`, `${DSR_VIP}:80`];
      expect(own.map(readReset)).toEqual([
        { arm: OUTSIDE, to: '0b01', from: vip, at: client, flags: RST, sequence: 77 },
        { arm: OUTSIDE, to: '0c01', from: client, at: vip, flags: RST | ACK, sequence: 1000 },
      ]);
      expect(to(scene, dsrTcp(SYN))).toBe('0c02');
    });

    test('by NAT, whoever speaks first', () => {
      const [client, real] = [`${CLIENT}:40000`, '10.0.0.11:8080'];
      const vip = `${NAT_VIP}:80`;
      const atClient = { arm: OUTSIDE, to: '0b01', from: vip, at: client };
      const atReal = { arm: INSIDE, to: '0d01', from: client, at: real };
      const first = spent().receive(natTcp(NUMBERS)).own.map(readReset);
      expect(first).toEqual([
        { ...atClient, flags: RST, sequence: 77 },
        { ...atReal, flags: RST | ACK, sequence: 1000 },
      ]);
      const reply = replyTcp(NAT_REALS[0]!, NUMBERS);
      const other = spent().receive(reply, { arm: INSIDE }).own.map(readReset);
      expect(other).toEqual([
        { ...atReal, flags: RST, sequence: 77 },
        { ...atClient, flags: RST | ACK, sequence: 1000 },
      ]);
    });

    test('and not a client that opens a new one', () => {
      const scene = spent();
      expect(to(scene, dsrTcp(SYN))).toBe('0c02');
    });
  });

  test('that is called back in time keeps them', () => {
    const scene = connected();
    take(scene, drained({ old: CUT_OLD, oldAfterMs: 5000 }));
    pass(scene, 3000);
    take(scene, servicesWith({}, [], 'sh'));
    pass(scene, 3000);
    expect([to(scene, dsrTcp()), to(scene, natTcp())]).toEqual(['0c01', '0d01']);
  });
});

describe('slow start', () => {
  const SLOW = { slowStartMs: 10_000 };
  const share = (scene: Scene, first: number) => {
    const ways = Array.from({ length: 400 }, (_, n) => {
      const way = to(scene, dsrUdp({ sourcePort: first + n }));
      return way === '0c01' ? 1 : 0;
    });
    return ways.reduce((sum: number, own) => sum + own, 0) / ways.length;
  };
  const schedulers: SchedulerName[] = ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'random', 'twos'];

  test.each(schedulers)('gives a real that is back a growing share: %s', (scheduler) => {
    const services = servicesWith(SLOW, [], scheduler);
    const scene = makeScene({ services, maximumFlows: 8192 });
    lose(scene, DSR_REALS[0]!);
    expect(share(scene, 0)).toBe(0);
    introduce(scene, DSR_REALS[0]!);
    expect(share(scene, 1000)).toBe(0);
    pass(scene, 1000);
    const early = share(scene, 2000);
    expect(early).toBeGreaterThan(0.01);
    expect(early).toBeLessThan(0.16);
    pass(scene, 9000);
    expect(share(scene, 5000)).toBeGreaterThan(0.4);
    expect(scene.director.states.starting[2]).toBe(0);
  });

  test('does the same for one that was drained, and one that is new', () => {
    const scene = makeScene({ services: servicesWith(SLOW, [{ stopsNew: true }]) });
    take(scene, servicesWith(SLOW));
    expect(to(scene, dsrTcp(SYN))).toBe('0c02');
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 2 }))).toBe('0c02');
    const less = servicesWith(SLOW).map((service) => ({
      ...service,
      reals: service.reals.slice(1),
    }));
    const other = makeScene({ services: less });
    take(other, servicesWith(SLOW));
    expect(to(other, dsrTcp(SYN))).toBe('0c02');
    expect(to(other, dsrTcp({ ...SYN, sourcePort: 2 }))).toBe('0c02');
  });

  test('is not for the start of the director, and not where nobody else is', () => {
    const scene = makeScene({ services: servicesWith(SLOW) });
    expect(to(scene, dsrTcp(SYN))).toBe('0c01');
    lose(scene, ...DSR_REALS);
    introduce(scene, DSR_REALS[1]!);
    expect(to(scene, dsrTcp({ ...SYN, sourcePort: 2 }))).toBe('0c02');
  });
});

test('timeouts of a new table hold from the next packet on', () => {
  const scene = makeScene();
  to(scene, dsrUdp());
  const short = TIMEOUT_MS.map((ms) => ms / 100);
  takeTable(scene.director, tableOf(standardServices(), undefined, short));
  scene.director.nowMs += 2999;
  expect(to(scene, dsrUdp())).toBe('0c01');
  scene.director.nowMs += 2999;
  expect(to(scene, dsrUdp())).toBe('0c01');
  scene.director.nowMs += 3000;
  expect(to(scene, dsrUdp())).toBe('0c02');
});
