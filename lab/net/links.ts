// Cables, switches and the settings of interfaces. A cable is a veth pair that is created straight
// into its two hosts under its final names, so the machine's own namespace never sees it.
import type { Lab } from './lab.ts';

export interface Plug {
  readonly host: string;
  readonly interface: string;
  /** Stable and readable, such as 02:00:00:00:01:11; the kernel chooses one if it is left out. */
  readonly mac?: string;
}

/** Lays a cable between two hosts and sets both ends up. */
export async function addCable(lab: Lab, from: Plug, to: Plug): Promise<void> {
  await lab.ip(from.host, [
    `link add ${end(lab, from)} type veth peer ${end(lab, to)}`,
    `link set ${from.interface} up`,
  ]);
  await lab.ip(to.host, [`link set ${to.interface} up`]);
}

function end(lab: Lab, plug: Plug): string {
  const mac = plug.mac === undefined ? '' : ` address ${plug.mac}`;
  return `name ${plug.interface} netns ${lab.namespaceOf(plug.host)}${mac}`;
}

/**
 * Makes a switch on a host: a bridge that forwards from its first moment, says nothing and forgets
 * no address: frames to a host that has long been silent would go to everybody. Unit: 1/100 s.
 */
export async function addBridge(lab: Lab, host: string, bridge: string): Promise<void> {
  await lab.ip(host, [
    `link add ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0 ageing_time 100000000`,
    `link set ${bridge} up`,
  ]);
}

/** Sets sysctls of a host; those that this kernel does not have are left out. */
export async function setSysctls(
  lab: Lab,
  host: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  const lines = Object.entries(values).map(([name, value]) => {
    const path = `/proc/sys/${name.replaceAll('.', '/')}`;
    return `[ ! -e ${path} ] || echo ${value} > ${path}`;
  });
  await lab.exec(host, ['sh', '-e'], { input: `${lines.join('\n')}\n` });
}

/**
 * Switches what an interface leaves to hardware: checksums and segmentation. With `off`, every
 * frame on the wire is at most as long as the MTU and carries a finished checksum.
 */
export async function setOffloads(
  lab: Lab,
  host: string,
  link: string,
  state: 'on' | 'off',
): Promise<void> {
  const features = ['tx', 'sg', 'tso', 'gso'].flatMap((feature) => [feature, state]);
  // GRO is off on veth by default and would need NAPI there; it only ever goes off.
  const gro = state === 'off' ? ['gro', 'off'] : [];
  await lab.exec(host, ['ethtool', '-K', link, ...features, ...gro]);
}
