// The two blocks of text around a run: what the director does, when it starts; what it did, when it
// has stopped. Both are made from the Status that the API gives, so they never say anything else.
import { formatService } from '../config/listening.ts';
import type { GuardChoice } from './preflight.ts';
import type { ServiceStatus, Status } from './status.ts';

/** What a director that has just started does, and how to look at it. */
export function formatBanner(status: Status, guard: GuardChoice, socket: string): string {
  const arms = status.arms.map(({ name, mac, address, address6, mtu }) => {
    const addresses = [address, address6].filter((text) => text !== null).join(', ');
    return `${name} (${mac}, ${addresses || 'no address'}, MTU ${mtu})`;
  });
  const guarded =
    guard.kind === 'nft'
      ? 'nft, so the kernel of this host never sees these packets'
      : `none (${guard.why}); the kernel of this host forwards nothing, which was checked`;
  return [
    `furiwake ${status.version} directs on ${arms.join(', ')}`,
    ...status.services.map((service) => `  ${describeService(service)}`),
    `  datapath ${status.datapath}, guard ${guarded}`,
    `  look: furiwake status --socket ${socket}`,
    `  stop: kill ${status.pid} (or Ctrl-C); after a change of ${status.config}: kill -HUP ${status.pid}`,
  ].join('\n');
}

function describeService(service: ServiceStatus) {
  const { name, method, scheduler, reals } = service;
  const to = reals.map(
    (real) => `${real.name}${real.weight === 1 ? '' : ` weight ${real.weight}`}`,
  );
  return `${name}: ${formatService(service)} by ${method}, ${scheduler}, to ${to.join(', ')}`;
}

/** What the director did from start to stop. */
export function formatSummary(status: Status): string {
  const { totals, drops } = status;
  return [
    `furiwake stopped after ${(status.uptimeMs / 1000).toFixed(1)} s`,
    `  frames: ${totals.sentFrames} sent on, ${totals.answeredFrames} answered, ` +
      `${totals.droppedFrames} dropped, ${totals.passedFrames} passed`,
    `  flows: ${totals.openedFlows} opened, ${totals.endedFlows} ended, ${totals.evictedFlows} evicted`,
    ...status.services.flatMap((service) => [
      `  ${service.name}: ${traffic(service)}`,
      ...service.reals.map((real) => `    ${real.name}: ${traffic(real)}`),
    ]),
    ...Object.entries(drops).map(([name, count]) => `  dropped ${name}: ${count}`),
  ].join('\n');
}

function traffic(row: Pick<ServiceStatus, 'openedFlows' | 'requestPackets' | 'replyPackets'>) {
  const replies = row.replyPackets > 0 ? `, ${row.replyPackets} reply packets` : '';
  return `${row.openedFlows} flows, ${row.requestPackets} request packets${replies}`;
}
