// What in a status an operator should act on, each with what to do. A warning stands for a state
// that loses traffic now; figures that merely look odd are left to the tables.
import { formatEndpoint, isIpv6Text } from '../config/endpoint.ts';
import type { ArmStatus, ServiceStatus, Status } from '../control/status.ts';
import { number } from './output.ts';

/** One sentence or more for each thing that is wrong, the worst first. */
export function findWarnings(status: Status): string[] {
  return [
    ...status.arms.flatMap(linkWarnings),
    ...conflictWarnings(status.totals.vipConflicts),
    ...status.services.flatMap(realWarnings),
  ];
}

function linkWarnings({ name, link }: ArmStatus): string[] {
  if (link === 'down')
    return [
      `The link of ${name} is down: nothing is received or sent there. Bring it up ` +
        `(ip link set ${name} up) or check the cable; the director then goes on by itself.`,
    ];
  if (link === 'gone')
    return [
      `${name} is gone: there is no such interface any more. Create it again; ` +
        'the director then goes on by itself.',
    ];
  return [];
}

function conflictWarnings(conflicts: number): string[] {
  if (conflicts === 0) return [];
  const packets = conflicts === 1 ? '1 packet' : `${number(conflicts)} packets`;
  return [
    `Another host claims a VIP (${packets}), so clients may pass the director by. The director's ` +
      'log names its MAC address. If it is a DSR real: sysctl -w net.ipv4.conf.all.arp_ignore=1 ' +
      'net.ipv4.conf.all.arp_announce=2 there. If not, one of the two must give up the address.',
  ];
}

/** Of a real behind a router it is the router that is asked, and that does not answer. */
function realWarnings({ name, reals }: ServiceStatus): string[] {
  const unreachable = reals.filter(({ neighbour }) => neighbour === 'unreachable');
  return unreachable.map(({ address, port, arm, gateway }) => {
    const asked = gateway ?? address;
    const ofIpv6 = isIpv6Text(asked);
    const real = `${formatEndpoint(address, port)} of ${name}`;
    const who = gateway === undefined ? `Real ${real}` : `The gateway ${gateway} of real ${real}`;
    return (
      `${who} does not answer ${ofIpv6 ? 'NDP' : 'ARP'} on ${arm}, so what is sent to it is ` +
      'dropped. Is it up, and on this link? ' +
      `Try: ${ofIpv6 ? `ndisc6 ${asked} ${arm}` : `arping -I ${arm} ${asked}`}`
    );
  });
}
