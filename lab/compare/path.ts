// A path: one way from client to reals, with or without a balancer, that a comparison can open,
// measure any number of times, and close. All paths stand side by side, each in a lab of its own,
// so that samples of different paths can take turns.
import type { Lab } from '../net/lab.ts';
import type { Topology } from '../topologies/topology.ts';
import type { ConfigFile, PathKind, PathName } from './result.ts';

export interface Path {
  readonly name: PathName;
  /** For rows and axes: `furiwake DSR`, `nft DNAT`. */
  readonly title: string;
  readonly kind: PathKind;
  /** One line: what forwards, and how the answer comes back. */
  readonly summary: string;
  /** Why it cannot be opened here and what mends that, or undefined. */
  whyNot(): Promise<string | undefined>;
  /** Builds the lab, starts everything, waits for an answer. On failure nothing is left. */
  open(): Promise<OpenPath>;
}

/** The servers on every real: nginx (web, port 80), iperf3 (5201), sockperf (11111, TCP). */
export interface OpenPath {
  readonly path: Path;
  readonly lab: Lab;
  readonly topology: Topology;
  /** The address that the client talks to: the VIP, or the real where there is no balancer. */
  readonly target: string;
  /** Whether UDP datagrams to `target` are forwarded: proxies may not. */
  readonly carriesUdp: boolean;
  readonly configs: readonly ConfigFile[];
  /** The balancer's processes on its host; none where the kernel forwards. */
  processes(): readonly number[];
  /** Why the balancer is not alive any more, or undefined. */
  whyDead(): string | undefined;
  close(): Promise<void>;
}
