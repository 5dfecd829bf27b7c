// The topologies fit together: addresses, configuration, and the hosts that each break names.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BREAKS, breaksOf, findBreak } from '../../lab/topologies/breaks.ts';
import { TOPOLOGIES } from '../../lab/topologies/build.ts';
import { configText } from '../../lab/topologies/config-text.ts';
import { addressOf, hostNamed, realsOf } from '../../lab/topologies/topology.ts';
import { loadConfig } from '../../src/config/load.ts';

describe.each(Object.values(TOPOLOGIES))('topology $name', (topology) => {
  it('has no address and no MAC address twice', () => {
    const arms = topology.hosts.flatMap((host) => host.arms);
    for (const values of [arms.map((arm) => arm.address), arms.map((arm) => arm.mac)]) {
      expect(new Set(values).size).toBe(values.length);
    }
    expect(arms.map((arm) => arm.address)).not.toContain(topology.vip);
  });

  it('yields a configuration that the director accepts as it is', () => {
    const directory = mkdtempSync(join(tmpdir(), 'furiwake-config-text-'));
    const file = join(directory, 'furiwake.yaml');
    writeFileSync(file, configText(topology, { datapath: 'cap', socket: '/run/x.sock' }));
    const result = loadConfig(file);
    rmSync(directory, { recursive: true });
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    const { config } = result;
    expect(config).toMatchObject({ datapath: 'cap', socket: '/run/x.sock', guard: 'auto' });
    expect(config.services.map((service) => service.name)).toEqual([
      'web',
      'iperf-tcp',
      'iperf-udp',
    ]);
    for (const service of config.services) {
      expect(service).toMatchObject({ vips: [topology.vip], method: topology.method });
      const addresses = service.reals.map((real) => real.address);
      expect(addresses).toEqual(realsOf(topology).map(addressOf));
    }
  });

  it('can be broken in several ways, each with hosts that it has', () => {
    const broken = breaksOf(topology.name);
    expect(broken.length).toBeGreaterThanOrEqual(3);
    for (const { hosts, change, apply } of broken) {
      for (const host of hosts) expect(hostNamed(topology, host).name).toBe(host);
      expect(change ?? apply).toBeDefined();
      if (change !== undefined) expect(change(topology)).not.toEqual(topology);
    }
  });
});

describe('breaks', () => {
  it('have names of their own', () => {
    expect(new Set(BREAKS.map((each) => each.name)).size).toBe(BREAKS.length);
  });

  it('are found for their own topologies only', () => {
    expect(findBreak('dsr', 'arp-real')?.hosts).toEqual(['r2']);
    expect(findBreak('nat', 'arp-real')).toBeUndefined();
  });
});
