// Tells when a real gets or loses its MAC address, by comparing the counters with what was told
// last. A real that is being resolved is no news: it may be the start, or a new data plane.
import { isIpv6Text } from '../config/endpoint.ts';
import type { Arm } from '../datapath/datapath.ts';
import type { Counters } from '../director/counters.ts';
import { type BuiltTable, builtReals } from './build-table.ts';
import { neighbourOf } from './fill-status.ts';
import type { RunLog } from './run-log.ts';

export interface RealWatch {
  /** Looks once; to be called every now and then. */
  look(built: BuiltTable, arms: readonly Arm[]): void;
}

export function watchReals(counters: Counters, log: RunLog): RealWatch {
  /** By arm and address, because a host that serves two services, or leads to two, is one. */
  const told = new Map<string, string>();
  return {
    look(built, arms) {
      for (const { id, arm, gateway, config } of built.services.flatMap(builtReals)) {
        const { neighbour, mac } = neighbourOf(counters, id);
        const armName = arms[arm]?.name ?? '';
        const asked = gateway ?? config.address;
        const key = `${armName} ${asked}`;
        const news = mac ?? neighbour;
        if (neighbour === 'resolving' || told.get(key) === news) continue;
        told.set(key, news);
        const who = `${gateway === undefined ? 'real' : 'the gateway'} ${asked}`;
        const whose = gateway === undefined ? 'its packets' : 'packets through it';
        const how = isIpv6Text(asked) ? 'NDP' : 'ARP';
        const text =
          mac === null
            ? `${who} does not answer ${how} on ${armName}: ${whose} are dropped`
            : `${who} is at ${mac} on ${armName}`;
        log.event('real', text, { real: config.address, arm: armName, neighbour, mac });
      }
    },
  };
}
