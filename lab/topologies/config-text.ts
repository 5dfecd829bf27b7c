// The director's configuration for a topology, as the YAML that a user would write.
import { stringify } from 'yaml';
import type { DatapathName } from '../../src/config/config.ts';
import { addressOf, directorOf, realsOf, type Topology } from './topology.ts';

export interface ConfigOptions {
  readonly datapath: DatapathName;
  /** Path of the API's Unix socket. */
  readonly socket: string;
  readonly guard?: 'auto' | 'off';
}

/** Text of the furiwake.yaml that makes the topology's director do its job. */
export function configText(topology: Topology, options: ConfigOptions): string {
  const reals = realsOf(topology).map((real) => ({ name: real.name, address: addressOf(real) }));
  const services = topology.services.map((service) => [
    service.name,
    {
      vip: topology.vip,
      port: service.port,
      protocol: service.protocol,
      method: topology.method,
      scheduler: service.scheduler,
      reals,
    },
  ]);
  const config = {
    interfaces: directorOf(topology).arms.map((arm) => arm.name),
    datapath: options.datapath,
    guard: options.guard ?? 'auto',
    socket: options.socket,
    ...(topology.sourcePool === undefined ? {} : { sourcePool: topology.sourcePool }),
    services: Object.fromEntries(services),
  };
  const comment = `# The director of the lab's topology ${topology.name}.\n`;
  return comment + stringify(config, { aliasDuplicateObjects: false });
}
