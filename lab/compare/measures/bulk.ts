// Bulk upload and download: one TCP stream by iperf3, as fast as it goes. The value is payload as
// the receiving end counted it, not what the sender put into its socket.
import { runIperf3 } from '../../hosts/iperf3.ts';
import { clientOf } from '../../topologies/topology.ts';
import type { Measure } from '../measure.ts';
import { SETTLE_SECONDS, witnessed } from './witness.ts';

/** Connecting, and exchanging the results. */
const IPERF3_SECONDS = 0.1;

function bulk(direction: 'upload' | 'download'): Measure {
  return {
    name: direction,
    secondsBeside: SETTLE_SECONDS + IPERF3_SECONDS,
    notApplicable: () => undefined,
    take: async (open, { round, seconds }) => {
      const { result, crossed, cpu } = await witnessed(open, () =>
        runIperf3(open.lab, {
          host: clientOf(open.topology).name,
          address: open.target,
          direction,
          // iperf3 takes whole seconds.
          seconds: Math.max(1, Math.round(seconds)),
        }),
      );
      return {
        ...{ round, crossed, cpu },
        value: result.bitsPerSecond,
        deliveredBytes: result.receivedBytes,
        deliveredCount: null,
        retransmits: result.retransmits,
      };
    },
  };
}

export const UPLOAD: Measure = bulk('upload');
export const DOWNLOAD: Measure = bulk('download');
