// A small valid configuration for tests of control: one DSR and one NAT service on two arms.
import type { Config } from '../../src/config/config.ts';

const real = (address: string, port: number) => ({
  name: `${address}:${port}`,
  address,
  port,
  weight: 1,
  interface: undefined,
});

export const sampleConfig = (changes: Partial<Config> = {}): Config => ({
  file: 'furiwake.yaml',
  interfaces: ['eth0', 'eth1'],
  datapath: 'ring',
  workers: 1,
  guard: 'auto',
  socket: '/run/furiwake.sock',
  ringSlots: 512,
  maximumFlows: 1024,
  hashSeed: 0,
  services: [
    {
      name: 'web',
      vip: '10.1.0.100',
      port: 80,
      protocol: 'tcp',
      method: 'dsr',
      scheduler: 'rr',
      hash: {},
      reals: [real('10.1.0.11', 80), real('10.1.0.12', 80)],
    },
    {
      name: 'dns',
      vip: '10.1.0.101',
      port: 53,
      protocol: 'udp',
      method: 'nat',
      scheduler: 'rr',
      hash: {},
      reals: [real('10.2.0.11', 5353)],
    },
  ],
  ...changes,
});
