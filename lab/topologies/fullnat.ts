// The topology nat without its one demand: the reals have no route to the client, neither through
// the director nor past it. They answer an address of the source pool, which lies in
// their own network and is on no interface; the director answers for it as it does for the VIP.
import { NAT } from './nat.ts';
import type { Topology } from './topology.ts';

export const FULLNAT: Topology = {
  ...NAT,
  name: 'fullnat',
  summary: 'like nat, but the reals have no way back: they see a source pool of the director',
  method: 'fullnat',
  sourcePool: { addresses: ['10.77.0.200'], ports: '20000-29999' },
  hosts: NAT.hosts.map((host) => ({ ...host, gateway: null })),
};
