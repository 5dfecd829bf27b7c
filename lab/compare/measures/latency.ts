// Latency: round trips of small TCP messages, from client to real and back. Idle is one message at
// a time, a thousand a second. Half load is half of the small requests that this path answers in a
// second, by its own earlier samples of `requests`, or by one second of wrk where there are none
// yet. sockperf at full pace would not tell it: TCP puts waiting messages together, so a path that
// keeps them waiting would seem to carry more. Later samples keep the first one's pace, so all of
// a path's samples are under the same load; the pace is in the sample.
import { quantile } from '../../quantile.ts';
import { whyNoLab } from '../../requirements.ts';
import { clientOf } from '../../topologies/topology.ts';
import type { Measure, SampleOptions } from '../measure.ts';
import type { OpenPath } from '../path.ts';
import type { MeasureName, Sample } from '../result.ts';
import { askAll } from './http.ts';
import { MESSAGE_BYTES, runSockperf, SOCKPERF_SECONDS, type SockperfOptions } from './sockperf.ts';
import { SETTLE_SECONDS, witnessed } from './witness.ts';

const IDLE_PER_SECOND = 1000;
const PROBE_SECONDS = 1;

type Pace = Pick<SockperfOptions, 'mode' | 'messagesPerSecond'>;

export const LATENCY_IDLE: Measure = {
  ...measureOf('latency-idle'),
  take: (open, options) =>
    take(open, options, { mode: 'ping-pong', messagesPerSecond: IDLE_PER_SECOND }),
};

export const LATENCY_HALF: Measure = {
  ...measureOf('latency-half'),
  notApplicable: () => whyNoLab(['sockperf', 'wrk']),
  take: async (open, options) => {
    const messagesPerSecond = Math.max(1, Math.round(await halfLoad(open, options)));
    return take(open, options, { mode: 'under-load', messagesPerSecond });
  },
};

function measureOf(name: MeasureName): Omit<Measure, 'take'> {
  return {
    name,
    secondsBeside: SETTLE_SECONDS + SOCKPERF_SECONDS,
    notApplicable: () => whyNoLab(['sockperf']),
  };
}

/** Messages a second that are half of what the path can carry. */
export async function halfLoad(open: OpenPath, { soFar }: SampleOptions): Promise<number> {
  const first = soFar['latency-half']?.[0]?.latency;
  if (first !== undefined) return first.ratePerSecond;
  const requests = (soFar.requests ?? []).map(({ value }) => value);
  if (requests.length > 0) return quantile(requests, 0.5) / 2;
  const { requests: answered, seconds } = await askAll(open, PROBE_SECONDS);
  return answered / seconds / 2;
}

async function take(open: OpenPath, options: SampleOptions, pace: Pace): Promise<Sample> {
  // sockperf takes whole seconds.
  const seconds = Math.max(1, Math.round(options.seconds));
  const { result, crossed, cpu } = await witnessed(open, () =>
    runSockperf(open.lab, {
      host: clientOf(open.topology).name,
      address: open.target,
      ...pace,
      seconds,
    }),
  );
  const { sentMessages, receivedMessages, latency } = result;
  return {
    ...{ round: options.round, crossed, cpu, latency },
    value: latency.p50Seconds,
    deliveredBytes: (sentMessages + receivedMessages) * MESSAGE_BYTES,
    deliveredCount: receivedMessages,
  };
}
