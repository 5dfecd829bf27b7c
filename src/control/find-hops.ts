// The routers that lead to reals outside the arms' subnets. A real may name its `gateway`; else the
// kernel's routing table is asked by `ip`, at start and at each reload, and told by the route what
// to resolve: the frames themselves never pass the kernel's routing.
import { spawnSync } from 'node:child_process';
import { allReals, type Config, type RealConfig } from '../config/config.ts';
import type { Arm } from '../datapath/datapath.ts';
import { inSubnet, inSubnet6, parseIpv4, parseIpv6 } from '../wire/address.ts';

export interface Route {
  readonly gateway: string;
  readonly interface: string;
}

/** Routes by the address that they lead to. */
export type Routes = ReadonlyMap<string, Route>;

/** Where frames to a real go: the arm, or -1, and the router on it unless the real itself is. */
export interface Way {
  readonly arm: number;
  readonly gateway: string | undefined;
}

/** What `ip` says of all reals that need a router and name none. DSR cannot go through one. */
export function readRoutes(config: Config, arms: readonly Arm[]): Routes {
  const addresses = config.services
    .flatMap(allReals)
    .filter((real) => real.method !== 'dsr')
    .filter((real) => real.gateway === undefined && !arms.some((arm) => isNear(real.address, arm)))
    .map((real) => real.address);
  return new Map(
    [...new Set(addresses)].flatMap((address) => {
      const route = askRoute(address);
      return route === undefined ? [] : [[address, route]];
    }),
  );
}

/** Undefined without a route or a router, and where `ip` is not installed. */
function askRoute(address: string): Route | undefined {
  const run = spawnSync('ip', ['-j', 'route', 'get', address], { encoding: 'utf8' });
  return run.status === 0 ? parseRoute(run.stdout) : undefined;
}

/** The router in the output of `ip -j route get`. */
export function parseRoute(json: string): Route | undefined {
  const [route] = JSON.parse(json || '[]') as { gateway?: string; dev?: string }[];
  if (route?.gateway === undefined || route.dev === undefined) return undefined;
  return { gateway: route.gateway, interface: route.dev };
}

/**
 * The way to a real: by its gateway, by the arm whose subnet holds it, or by the host's route.
 * Where neither knows, the real is taken to be on the named arm, or on the only one.
 */
export function findWay(real: RealConfig, arms: readonly Arm[], routes: Routes): Way {
  const { gateway, interface: name } = real;
  const named = arms.findIndex((arm) => arm.name === name);
  const armOf = (address: string) =>
    name === undefined ? arms.findIndex((arm) => isNear(address, arm)) : named;
  if (gateway !== undefined) return { arm: armOf(gateway), gateway };
  const isDirect = arms.some(
    (arm) => isNear(real.address, arm) && (name === undefined || arm.name === name),
  );
  const route = isDirect ? undefined : routes.get(real.address);
  const routed = arms.findIndex((arm) => arm.name === route?.interface);
  if (route !== undefined && routed >= 0 && (name === undefined || routed === named)) {
    return { arm: routed, gateway: route.gateway };
  }
  const arm = armOf(real.address);
  const isOnly = arm < 0 && name === undefined && arms.length === 1;
  return { arm: isOnly ? 0 : arm, gateway: undefined };
}

/** Whether an address lies in a subnet of the arm. */
function isNear(text: string, arm: Arm): boolean {
  const address6 = parseIpv6(text);
  if (address6 !== undefined) {
    const subnets = arm.subnets6 ?? [];
    return subnets.some(({ address, prefixLength }) => inSubnet6(address6, address, prefixLength));
  }
  const address = parseIpv4(text) ?? 0;
  return arm.prefixLength > 0 && inSubnet(address, arm.address, arm.prefixLength);
}
