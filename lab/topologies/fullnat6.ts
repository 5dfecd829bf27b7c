// The topology fullnat over IPv6: that of nat6, but the reals have no route to the client.
import { NAT6 } from './nat6.ts';
import type { Topology } from './topology.ts';

export const FULLNAT6: Topology = {
  ...NAT6,
  name: 'fullnat6',
  summary: 'like fullnat, over IPv6',
  method: 'fullnat',
  sourcePool: { addresses: ['fd77::200'], ports: '20000-29999' },
  hosts: NAT6.hosts.map((host) => ({ ...host, gateway: null })),
};
