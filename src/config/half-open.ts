// How many half-open flows are enough. A flood fills a ring, and all that waits there before the
// last packet of somebody's handshake is new too: with fewer half-open flows than a ring has slots
// nobody's handshake comes to its end (test/control/flood-in-the-ring.test.ts shows it). The way to
// the client and to the real takes its time as well, so it should be well above.
import type { Config } from './config.ts';

/** For each slot of the rings, of which each worker has one on each interface. */
const FEWEST = 2;
const BY_DEFAULT = 4;

type Sizes = Pick<Config, 'ringSlots' | 'workers' | 'interfaces' | 'maximumFlows'>;

const slotsOfAll = ({ ringSlots, workers, interfaces }: Sizes): number =>
  ringSlots * workers * interfaces.length;

/** A quarter of all flows, and more where that is little beside the rings. */
export function defaultHalfOpen(sizes: Sizes): number {
  const { maximumFlows } = sizes;
  const enough = slotsOfAll(sizes) * BY_DEFAULT;
  return Math.min(maximumFlows, Math.max(maximumFlows >>> 2, enough));
}

/** See configWarnings. */
export function halfOpenWarnings(
  config: Sizes & Pick<Config, 'datapath' | 'maximumHalfOpen'>,
): string[] {
  const { datapath, ringSlots, workers, interfaces, maximumHalfOpen, maximumFlows } = config;
  const enough = slotsOfAll(config) * FEWEST;
  if (datapath === 'cap' || maximumHalfOpen >= enough) return [];
  const each =
    (workers > 1 ? ` of ${workers} workers` : '') +
    (interfaces.length > 1 ? ` on ${interfaces.length} interfaces` : '');
  const raise = maximumFlows < enough ? 'flows.maximum' : 'flows.halfOpenMaximum';
  return [
    `flows.halfOpenMaximum is ${maximumHalfOpen}, beside ring.slots of ${ringSlots}${each}: a ` +
      'flood that fills the ring pushes new connections out before their handshake ends. Make it ' +
      `${enough} or more (raise ${raise}), or the ring smaller`,
  ];
}
