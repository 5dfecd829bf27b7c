// A small valid configuration for tests of control: one DSR and one NAT service on two arms.
import type { Config } from '../../src/config/config.ts';
import type { MethodName } from '../../src/director/table.ts';

const real = (address: string, port: number, method: MethodName) => ({
  name: `${address}:${port}`,
  address,
  port,
  weight: 1,
  method,
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
  maximumHalfOpen: 256,
  hashSeed: 0,
  services: [
    {
      name: 'web',
      vips: ['10.1.0.100'],
      ports: [{ from: 80, to: 80 }],
      protocols: ['tcp'],
      method: 'dsr',
      scheduler: 'rr',
      hash: {},
      reals: [real('10.1.0.11', 80, 'dsr'), real('10.1.0.12', 80, 'dsr')],
    },
    {
      name: 'dns',
      vips: ['10.1.0.101'],
      ports: [{ from: 53, to: 53 }],
      protocols: ['udp'],
      method: 'nat',
      scheduler: 'rr',
      hash: {},
      reals: [real('10.2.0.11', 5353, 'nat')],
    },
  ],
  ...changes,
});
