// What control and the data plane say to each other. The same messages go to a worker thread
// (ring) and to a child process (cap); only the way they travel differs.
import type { DatapathName } from '../config/config.ts';
import type { Arm, LinkState } from '../datapath/datapath.ts';
import type { Share } from '../datapath/ring-unsafe.ts';
import type { CounterRoom } from '../director/counters.ts';
import type { Table } from '../director/table.ts';
import type { FlowStatus } from './status.ts';

/** Everything a data plane needs to start. */
export interface DataPlaneStart {
  readonly datapath: DatapathName;
  readonly arms: readonly Arm[];
  readonly ringSlots: number;
  readonly maximumFlows: number;
  readonly maximumHalfOpen: number;
  readonly room: CounterRoom;
  /** Shared memory for the counters; undefined in a child process, which posts them instead. */
  readonly counters: SharedArrayBuffer | undefined;
  readonly table: Table;
  /** Undefined for a data plane of one worker. */
  readonly share?: WorkerShare | undefined;
}

/** What a worker that is one of several knows of the others. */
export interface WorkerShare extends Share {
  /** Worker 0's counters, where the others learn the reals' MAC addresses. */
  readonly leader: SharedArrayBuffer;
  /** One int32, 0 until all workers have joined the fanout groups. */
  readonly gate: SharedArrayBuffer;
}

export type ToDataPlane =
  | { readonly type: 'table'; readonly table: Table }
  | { readonly type: 'flows'; readonly request: number; readonly limit: number }
  | { readonly type: 'stop' };

export type FromDataPlane =
  /** `wakeFd` is an eventfd: after a message, 1 is written to it, so that a waiting loop wakes. */
  | { readonly type: 'ready'; readonly wakeFd?: number }
  /** Only from a worker that is one of several: it gets no frames before the gate is open. */
  | { readonly type: 'joined'; readonly groups: readonly number[] }
  | { readonly type: 'link'; readonly arm: number; readonly state: LinkState }
  | { readonly type: 'conflict'; readonly vip: string; readonly mac: string; readonly arm: number }
  | { readonly type: 'flows'; readonly request: number; readonly flows: readonly FlowStatus[] }
  | { readonly type: 'counters'; readonly values: Float64Array }
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'stopped' };
