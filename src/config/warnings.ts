// What of a good configuration its operator may regret; a sentence or two each.
import type { Config } from './config.ts';
import { isIpv6Text } from './endpoint.ts';
import { halfOpenWarnings } from './half-open.ts';

export const configWarnings = (config: Config): string[] => [
  ...halfOpenWarnings(config),
  ...fewSources(config),
];

/** With an address each, a worker gets all that answers it; else the port must tell whose it is. */
function fewSources({ sourcePool, workers }: Config): string[] {
  const all = sourcePool?.addresses ?? [];
  return [false, true].flatMap((ofIpv6) => {
    const count = all.filter((address) => isIpv6Text(address) === ofIpv6).length;
    if (count === 0 || count >= workers) return [];
    const found = `${count} of ${ofIpv6 ? 'IPv6' : 'IPv4'} for ${workers} workers`;
    return [
      `sourcePool.addresses are ${found}: of a real's answer in fragments only the first one comes ` +
        `through. Give it ${workers} addresses, so that each worker has its own, or set "workers: ` +
        `${count}"`,
    ];
  });
}
