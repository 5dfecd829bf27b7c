// What the preflight judges, gathered from this host: interfaces, privileges, addresses, sysctls
// and which optional programs and packages are there. Reading changes nothing and needs no
// privilege.
import { accessSync, constants, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type { Config } from '../config/config.ts';
import { type Capabilities, readCapabilities } from '../linux/capabilities.ts';
import {
  hostAddresses,
  type InterfaceAddress,
  type InterfaceResult,
  readInterface,
} from '../linux/interfaces.ts';
import { armOf } from './arms.ts';
import { type Routes, readRoutes } from './find-hops.ts';

export interface HostFacts {
  /** One for each interface of the configuration, in its order. */
  readonly interfaces: readonly InterfaceResult[];
  readonly capabilities: Capabilities;
  /** Processors that this process may use. */
  readonly processors: number;
  /** Addresses and ranges that the kernel takes for its own. */
  readonly local: readonly InterfaceAddress[];
  /** Interfaces of the configuration that forward IPv4 packets. */
  readonly forwarding: readonly string[];
  /** Interfaces of the configuration that answer ARP for others. */
  readonly proxyArp: readonly string[];
  /** Interfaces of the configuration that forward IPv6 packets, or answer NDP for others. */
  readonly forwarding6: readonly string[];
  readonly proxyNdp: readonly string[];
  /** How the host's own routing reaches reals on none of the arms' subnets. */
  readonly routes: Routes;
  /** True if the program `nft` is installed. */
  readonly nft: boolean;
  /** Why the package of the chosen datapath cannot be loaded, or undefined if it can. */
  readonly packageProblem: string | undefined;
}

export function readHostFacts(config: Config): HostFacts {
  const { interfaces } = config;
  const found = interfaces.map(readInterface);
  const arms = found.flatMap((result) => (result.ok ? armOf(result.interface) : []));
  return {
    interfaces: found,
    routes: readRoutes(config, arms),
    capabilities: readCapabilities(),
    processors: availableParallelism(),
    local: hostAddresses(),
    forwarding: interfaces.filter((name) => isOn('ipv4', name, 'forwarding')),
    proxyArp: interfaces.filter((name) => isOnAnywhere('ipv4', name, 'proxy_arp')),
    // Forwarding is for the whole host; since Linux 6.17 one interface may be an exception.
    forwarding6: interfaces.filter(
      (name) => isOn('ipv6', 'all', 'forwarding') || isOn('ipv6', name, 'force_forwarding'),
    ),
    proxyNdp: interfaces.filter((name) => isOnAnywhere('ipv6', name, 'proxy_ndp')),
    nft: hasProgram('nft'),
    packageProblem: tryPackage(config.datapath === 'cap' ? 'cap' : 'koffi'),
  };
}

const isOnAnywhere = (family: 'ipv4' | 'ipv6', name: string, option: string): boolean =>
  isOn(family, 'all', option) || isOn(family, name, option);

/** A switch of /proc/sys/net; off where there is no such interface, or switch. */
function isOn(family: 'ipv4' | 'ipv6', name: string, option: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/${family}/conf/${name}/${option}`, 'utf8').trim() !== '0';
  } catch {
    return false;
  }
}

/** Looks where `nft-shell.ts` makes it look too: the sbin folders count as part of PATH. */
function hasProgram(name: string): boolean {
  const folders = `${process.env.PATH}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Loads the package, because a package that was not built is in its place and fails only then. */
function tryPackage(name: string): string | undefined {
  try {
    createRequire(import.meta.url)(name);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0] : String(error);
  }
}
