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
  /** By arm and address, because a host that serves two services is one neighbour. */
  const told = new Map<string, string>();
  return {
    look(built, arms) {
      for (const { id, arm, config } of built.services.flatMap(builtReals)) {
        const { neighbour, mac } = neighbourOf(counters, id);
        const armName = arms[arm]?.name ?? '';
        const key = `${armName} ${config.address}`;
        const news = mac ?? neighbour;
        if (neighbour === 'resolving' || told.get(key) === news) continue;
        told.set(key, news);
        const text =
          mac === null
            ? `real ${config.address} does not answer ${isIpv6Text(config.address) ? 'NDP' : 'ARP'} on ${armName}: its packets are dropped`
            : `real ${config.address} is at ${mac} on ${armName}`;
        log.event('real', text, { real: config.address, arm: armName, neighbour, mac });
      }
    },
  };
}
