// The kernel on the director's host as a balancer without memory: nft writes a real's MAC address
// at netdev ingress and sends the frame out again, by a hash for each packet. It is DSR without a
// program in between, and without a scheduler: the hash spreads evenly only on average. A director
// that runs beside it costs each frame a look of its sockets' filters.
import type { Lab } from '../net/lab.ts';
import { directorOf, type Host, type HostArm, type Network } from '../topologies/topology.ts';

/** `jhash ip saddr mod 3 map { 0 : first, 1 : second, 2 : third }` of nft(8) */
export function choice(values: readonly string[], hash: string, seed = ''): string {
  const map = values.map((value, index) => `${index} : ${value}`).join(', ');
  return `${hash} mod ${values.length}${seed} map { ${map} }`;
}

/** Where the rules come from. */
export const FORWARD_SOURCE = 'nftables wiki, Load balancing: Using Direct Server Return (DSR)';

/** Nothing remembers a connection there, so its packets are told by address and port. */
export const BY_CONNECTION = 'jhash ip saddr . tcp sport';

/** The statements that send a frame on from `arm`, to the MAC address that `real` yields. */
export const forwardTo = ({ name, mac }: HostArm, real: string): string =>
  `ether saddr set ${mac} ether daddr set ${real} fwd to "${name}"`;

/** nft refuses `mod 1`. */
const oneOf = (macs: readonly string[]): string =>
  macs.length === 1 ? macs[0]! : choice(macs, BY_CONNECTION);

export interface NftForwardOptions {
  /** An address on the segment of the reals, on the `lo` of each. */
  readonly vip: string;
  readonly port: number;
  readonly reals: readonly Host[];
}

/** What nft reads; it takes the place of what an earlier call loaded. */
export function nftForwardRules(network: Network, options: NftForwardOptions): string {
  const arm = armToReals(network, options);
  const macs = options.reals.map((real) => real.arms[0]!.mac);
  return `table netdev forward
delete table netdev forward
table netdev forward {
  chain ingress {
    type filter hook ingress device "${arm.name}" priority 0
    ip daddr ${options.vip} tcp dport ${options.port} ${forwardTo(arm, oneOf(macs))}
  }
}
`;
}

/** Loads the rules; the VIP goes on the arm too, so that the kernel answers ARP for it. */
export async function startNftForward(
  lab: Lab,
  network: Network,
  options: NftForwardOptions,
): Promise<void> {
  const { name } = directorOf(network);
  const arm = armToReals(network, options);
  await lab.exec(name, ['ip', 'address', 'replace', `${options.vip}/32`, 'dev', arm.name]);
  await lab.exec(name, ['nft', '-f', '-'], { input: nftForwardRules(network, options) });
}

function armToReals(network: Network, { reals }: NftForwardOptions): HostArm {
  const segment = reals[0]?.arms[0]?.segment;
  const arm = directorOf(network).arms.find((each) => each.segment === segment);
  if (arm === undefined) throw new Error('the director has no arm on the segment of the reals');
  return arm;
}
