// The checks before a start, on facts that no host here has: each refusal names what it found and
// what to do, and a good host has none.
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import type { HostFacts } from '../../src/control/host-facts.ts';
import { chooseGuard, findProblems } from '../../src/control/preflight.ts';
import type { InterfaceResult, NetworkInterface } from '../../src/linux/interfaces.ts';
import { sampleConfig } from './sample-config.ts';

function ethernet(name: string, address: string, changes: Partial<NetworkInterface> = {}) {
  return {
    ok: true,
    interface: {
      ...{ name, index: 2, mac: '02:00:00:00:00:01', mtu: 1500, link: 'up', vlans: [] },
      ...{ loopback: false, ethernet: true, addresses: [{ address, prefixLength: 24 }] },
      addresses6: [{ address: `2001:db8:${name.at(-1)}::1`, prefixLength: 64 }],
      ...changes,
    },
  } as const satisfies InterfaceResult;
}

const hostFacts = (changes: Partial<HostFacts> = {}): HostFacts => ({
  interfaces: [ethernet('eth0', '10.1.0.1'), ethernet('eth1', '10.2.0.1')],
  capabilities: { netRaw: true, netAdmin: true, childNetAdmin: true, bpf: true },
  processors: 4,
  local: [
    { address: '127.0.0.0', prefixLength: 8 },
    { address: '10.1.0.1', prefixLength: 32 },
    { address: '10.2.0.1', prefixLength: 32 },
  ],
  forwarding: [],
  proxyArp: [],
  forwarding6: [],
  proxyNdp: [],
  routes: new Map(),
  nft: true,
  packageProblem: undefined,
  ...changes,
});

/** The one problem that there must be. */
function onlyProblem(config: Config, facts: HostFacts): string {
  const problems = findProblems(config, facts);
  expect(problems).toHaveLength(1);
  return problems[0]!;
}

function withVip(vip: string): Config {
  const [web, dns] = sampleConfig().services;
  return sampleConfig({ services: [{ ...web!, vips: [vip] }, dns!] });
}

function withReal(changes: { address?: string; interface?: string }): Config {
  const [web, dns] = sampleConfig().services;
  const reals = [{ ...dns!.reals[0]!, ...changes, name: 'stray' }];
  return sampleConfig({ services: [web!, { ...dns!, reals }] });
}

test('a good host has no problems', () => {
  expect(findProblems(sampleConfig(), hostFacts())).toEqual([]);
});

describe('workers', () => {
  test('each needs a processor', () => {
    expect(findProblems(sampleConfig({ workers: 4 }), hostFacts())).toEqual([]);
    expect(onlyProblem(sampleConfig({ workers: 5 }), hostFacts())).toBe(
      'workers is 5, but this process may use 4 processors: each worker needs one of its own. ' +
        'Set "workers: 4" or fewer',
    );
  });

  test('share frames to so many VIPs, and no more', () => {
    const [web] = sampleConfig().services;
    const services = Array.from({ length: 2001 }, (_, index) => ({
      ...web!,
      vips: [`10.9.${index >> 8}.${index & 255}`],
    }));
    expect(onlyProblem(sampleConfig({ workers: 2, services }), hostFacts())).toContain('2001 VIPs');
    expect(findProblems(sampleConfig({ services }), hostFacts())).toEqual([]);
  });
});

describe('interfaces', () => {
  test('a missing one is told in its own words', () => {
    const missing = { ok: false, problem: 'no interface eth1; there are: eth0, lo' } as const;
    const facts = hostFacts({ interfaces: [ethernet('eth0', '10.1.0.1'), missing] });
    expect(onlyProblem(sampleConfig(), facts)).toBe(missing.problem);
  });

  test('loopback is refused', () => {
    const lo = ethernet('lo', '127.0.0.1', { loopback: true, ethernet: false });
    const facts = hostFacts({ interfaces: [...hostFacts().interfaces, lo] });
    expect(onlyProblem(sampleConfig(), facts)).toContain('lo is a loopback interface');
  });

  test('one without Ethernet headers is refused', () => {
    const tunnel = ethernet('tun0', '10.3.0.1', { ethernet: false, mac: '' });
    const facts = hostFacts({ interfaces: [...hostFacts().interfaces, tunnel] });
    expect(onlyProblem(sampleConfig(), facts)).toContain('tun0 is no Ethernet interface');
  });
});

describe('privileges and packages', () => {
  const none = { netRaw: false, netAdmin: false, childNetAdmin: false, bpf: false };

  test('without CAP_NET_RAW, three ways to give it are shown', () => {
    const problem = onlyProblem(sampleConfig(), hostFacts({ capabilities: none }));
    expect(problem).toContain('CAP_NET_RAW is missing');
    for (const way of ['setpriv', '--ambient-caps', 'setcap', 'AmbientCapabilities']) {
      expect(problem).toContain(way);
    }
  });

  test('the flow cache needs CAP_BPF and CAP_NET_ADMIN', () => {
    const tc = sampleConfig({ datapath: 'tc' });
    const having = (more: object) =>
      hostFacts({ capabilities: { ...none, netRaw: true, ...more } });
    const all = { netAdmin: true, childNetAdmin: true };
    expect(onlyProblem(tc, having(all))).toContain('datapath tc needs CAP_BPF:');
    const both = findProblems(tc, having({})).find((problem) => problem.includes('datapath tc'));
    expect(both).toContain('needs CAP_BPF and CAP_NET_ADMIN');
    expect(findProblems(tc, having({ ...all, bpf: true }))).toEqual([]);
    expect(findProblems(sampleConfig(), having(all))).toEqual([]);
  });

  test.each([
    ['ring', 'koffi', 'datapath: cap'],
    ['tc', 'koffi', 'datapath: cap'],
    ['cap', 'cap', 'datapath: ring'],
  ] as const)('datapath %s without %s names the package and both ways out', (...row) => {
    const [datapath, name, instead] = row;
    const facts = hostFacts({ packageProblem: `Cannot find module '${name}'` });
    const problem = onlyProblem(sampleConfig({ datapath }), facts);
    expect(problem).toContain(`needs the package ${name}`);
    expect(problem).toContain(`npm rebuild ${name}`);
    expect(problem).toContain(instead);
  });
});

describe('addresses', () => {
  test('a VIP that the host owns is refused', () => {
    const problem = onlyProblem(withVip('10.1.0.1'), hostFacts());
    expect(problem).toContain('services.web');
    expect(problem).toContain('the VIP 10.1.0.1 is an address of this host');
  });

  test('so is a VIP within a range that the host owns', () => {
    const local = [{ address: '10.9.0.0', prefixLength: 16 }];
    expect(onlyProblem(withVip('10.9.8.7'), hostFacts({ local }))).toContain('10.9.0.0/16');
  });

  test('a real on the director itself is refused', () => {
    const problem = onlyProblem(withReal({ address: '10.2.0.1' }), hostFacts());
    expect(problem).toContain('the real stray (10.2.0.1) is an address of this host');
  });

  test('sources of tunnels that hold an address of the host are refused', () => {
    const config = sampleConfig({ tunnel: { port: 6080, sources: ['10.1.0.0/16'] } });
    expect(onlyProblem(config, hostFacts())).toContain(
      'tunnel: the sources 10.1.0.0/16 hold an address of this host (10.1.0.1/32)',
    );
  });

  test('a tunnel to a sorry server needs a source address too', () => {
    const [web] = sampleConfig().services;
    const sorry = { ...web!.reals[0]!, name: 'sorry', address: '10.3.0.9', gateway: '10.1.0.9' };
    const services = [{ ...web!, sorry: { ...sorry, interface: 'eth0', method: 'ipip' as const } }];
    const bare = ethernet('eth0', '10.1.0.1', { addresses: [] });
    const facts = hostFacts({ interfaces: [bare, ethernet('eth1', '10.2.0.1')] });
    const problems = findProblems(sampleConfig({ services }), facts);
    expect(problems.join('\n')).toContain('the tunnel to the real sorry (10.3.0.9) has no source');
  });

  test.each([
    // The real's and the VIP's families, the method, and the MTU that is just enough.
    ['2001:db8:1::9', '10.1.0.100', 'ipip', 1280],
    ['2001:db8:1::9', '10.1.0.100', 'gue', 1280],
    ['2001:db8:1::9', '2001:db8:1::100', 'dsr', 1280],
    ['2001:db8:1::9', '2001:db8:1::100', 'ipip', 1320],
    ['2001:db8:1::9', '2001:db8:1::100', 'gue', 1332],
    ['10.1.0.9', '2001:db8:1::100', 'ipip', 1300],
    ['10.1.0.9', '2001:db8:1::100', 'gue', 1312],
    ['10.1.0.9', '10.1.0.100', 'gue', 68],
  ] as const)('to the real %s of the VIP %s by %s the MTU is %i at least', (...row) => {
    const [address, vip, method, least] = row;
    const [web] = sampleConfig().services;
    const reals = [{ ...web!.reals[0]!, name: 'far', address, method }];
    const config = sampleConfig({ services: [{ ...web!, vips: [vip], method, reals }] });
    const by = (mtu: number) => {
      const narrow = ethernet('eth1', '10.1.0.1', { mtu });
      return findProblems(config, hostFacts({ interfaces: [narrow] }));
    };
    expect(by(least)).toEqual([]);
    if (least === 68) return;
    const problems = by(least - 1);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      `far (${address}) is too narrow: eth1 has an MTU of ${least - 1}`,
    );
    expect(problems[0]).toContain(`ip link set eth1 mtu ${least} or more`);
  });

  test('a real that no interface leads to is named beside what there is', () => {
    const problem = onlyProblem(withReal({ address: '10.7.0.9' }), hostFacts());
    expect(problem).toContain('no interface leads to the real stray (10.7.0.9)');
    expect(problem).toContain('eth0 10.1.0.1/24');
    expect(problem).toContain('eth1 10.2.0.1/24');
  });

  test('unless the real names its interface', () => {
    const config = withReal({ address: '10.7.0.9', interface: 'eth1' });
    expect(findProblems(config, hostFacts())).toEqual([]);
  });

  test('or there is one interface only', () => {
    const config = { ...withReal({ address: '10.7.0.9' }), interfaces: ['eth0'] };
    const facts = hostFacts({ interfaces: [ethernet('eth0', '10.1.0.1')] });
    expect(findProblems(config, facts)).toEqual([]);
  });
});

describe('without a guard', () => {
  const off = sampleConfig({ guard: 'off' });

  test('an interface that forwards is refused, with the switch to turn', () => {
    const problem = onlyProblem(off, hostFacts({ forwarding: ['eth1'] }));
    expect(problem).toContain('eth1 forwards IPv4 packets');
    expect(problem).toContain('sysctl -w net/ipv4/conf/eth1/forwarding=0');
    expect(problem).toContain('"guard: off" in the config');
  });

  test('an interface with proxy ARP is refused', () => {
    const problem = onlyProblem(off, hostFacts({ proxyArp: ['eth0'] }));
    expect(problem).toContain('eth0 answers ARP for others');
  });

  test('with a guard, neither matters', () => {
    const facts = hostFacts({ forwarding: ['eth0'], proxyArp: ['eth0'] });
    expect(findProblems(sampleConfig(), facts)).toEqual([]);
  });
});

describe('the choice of a guard', () => {
  const choose = (changes: Partial<HostFacts>) => chooseGuard(sampleConfig(), hostFacts(changes));
  const why = (why: string) => ({ kind: 'none', why: expect.stringContaining(why) });

  test('falls on nft where the process may and nft is there', () => {
    expect(choose({})).toEqual({ kind: 'nft' });
  });

  test('falls on none otherwise, and says why', () => {
    const raw = { netRaw: true, netAdmin: false, childNetAdmin: false, bpf: false };
    expect(choose({ capabilities: raw })).toEqual(why('no CAP_NET_ADMIN'));
    expect(choose({ capabilities: { ...raw, netAdmin: true } })).toEqual(why('ambient'));
    expect(choose({ nft: false })).toEqual(why('apt-get install nftables'));
    const off = sampleConfig({ guard: 'off' });
    expect(chooseGuard(off, hostFacts())).toEqual(why('guard: off'));
  });
});

describe('IPv6', () => {
  const withIpv6 = (vip: string, address: string) => {
    const [web] = sampleConfig().services;
    const reals = [{ ...web!.reals[0]!, name: 'r6', address, interface: undefined }];
    return sampleConfig({ services: [{ ...web!, name: 'web6', vips: [vip], reals }] });
  };

  test('a real in a subnet of an interface is no problem', () => {
    expect(findProblems(withIpv6('2001:db8::10', '2001:db8:1::21'), hostFacts())).toEqual([]);
  });

  test('a VIP or real that the host owns, alone or in a range, is refused', () => {
    const own = [
      { address: '2001:db8::10', prefixLength: 128 },
      { address: '2001:db8:1::', prefixLength: 64 },
    ];
    const facts = hostFacts({ local: [...hostFacts().local, ...own] });
    const problems = findProblems(withIpv6('2001:db8::10', '2001:db8:1::21'), facts);
    expect(problems.join('\n')).toContain(
      'services.web6: the VIP 2001:db8::10 is an address of this host (2001:db8::10/128)',
    );
    expect(problems.join('\n')).toContain(
      'the real r6 (2001:db8:1::21) is an address of this host',
    );
    expect(problems).toHaveLength(2);
  });

  test('a real in no subnet is refused beside those that there are', () => {
    const problem = onlyProblem(withIpv6('2001:db8::10', '2001:db8:9::21'), hostFacts());
    expect(problem).toContain(
      'no interface leads to the real r6 (2001:db8:9::21) ' +
        '(there are eth0 2001:db8:0::1/64, eth1 2001:db8:1::1/64)',
    );
  });

  test('without a guard, forwarding and proxy NDP are refused, if there is a service of it', () => {
    const facts = hostFacts({ nft: false, forwarding6: ['eth0'], proxyNdp: ['eth1'] });
    const [forwarding, proxy, ...others] = findProblems(
      withIpv6('2001:db8::10', '2001:db8:1::21'),
      facts,
    );
    expect(forwarding).toContain('eth0 forwards IPv6 packets');
    expect(forwarding).toContain('sysctl -w net.ipv6.conf.all.forwarding=0');
    expect(proxy).toContain('eth1 answers NDP for others');
    expect(others).toEqual([]);
    expect(findProblems(sampleConfig(), facts)).toEqual([]);
    const guarded = hostFacts({ forwarding6: ['eth0'], proxyNdp: ['eth1'] });
    expect(findProblems(withIpv6('2001:db8::10', '2001:db8:1::21'), guarded)).toEqual([]);
  });
});
