// New connections and requests a second, by wrk against `/`, an answer of a few bytes. For the one,
// every request opens a connection of its own and the server closes it; for the other, 32
// connections stay open. One error of wrk fails the sample: errors are answered fast, and would
// make a path look good.
import { whyNoLab } from '../../requirements.ts';
import { clientOf } from '../../topologies/topology.ts';
import type { Measure } from '../measure.ts';
import type { OpenPath } from '../path.ts';
import type { MeasureName } from '../result.ts';
import { SETTLE_SECONDS, witnessed } from './witness.ts';
import { runWrk, type WrkResult } from './wrk.ts';

const CONNECTIONS = 32;
const WRK_SECONDS = 0.1;
const CLOSE = 'Connection: close';

function http(name: MeasureName, header: string | undefined): Measure {
  return {
    name,
    secondsBeside: SETTLE_SECONDS + WRK_SECONDS,
    notApplicable: () => whyNoLab(['wrk']),
    take: async (open, { round, seconds }) => {
      const { result, crossed, cpu } = await witnessed(open, () => askAll(open, seconds, header));
      const { requests, receivedBytes } = result;
      return {
        ...{ round, crossed, cpu },
        value: requests / result.seconds,
        deliveredBytes: receivedBytes + requests * requestBytes(open.target, header),
        deliveredCount: requests,
      };
    },
  };
}

/** Asks on 32 connections as often as it goes. @throws Error if there was a single error */
export function askAll(open: OpenPath, seconds: number, header?: string): Promise<WrkResult> {
  return runWrk(open.lab, {
    host: clientOf(open.topology).name,
    url: `http://${open.target}/`,
    connections: CONNECTIONS,
    // wrk takes whole seconds.
    seconds: Math.max(1, Math.round(seconds)),
    ...(header === undefined ? {} : { header }),
  });
}

/** wrk counts what it receives; what it sends is always the same text. */
export function requestBytes(host: string, header: string | undefined): number {
  const lines = ['GET / HTTP/1.1', `Host: ${host}`, ...(header === undefined ? [] : [header])];
  return lines.reduce((sum, line) => sum + line.length + 2, 2);
}

export const CONNECTIONS_PER_SECOND: Measure = http('connections', CLOSE);
export const REQUESTS_PER_SECOND: Measure = http('requests', undefined);
