// A datapath without a kernel: frames go in by `put` and come out in `sent`. Tests, simulations and
// the bench of the director's own work run on it; it keeps every promise that the others keep.
import { TAG_BYTES, TYPE_VLAN, withTag } from '../wire/ethernet.ts';
import { HEADROOM_BYTES } from '../wire/tunnel.ts';
import {
  type Arm,
  BATCH_FRAMES,
  type BlockingDatapath,
  createArmCounters,
  createBatch,
  type LinkState,
} from './datapath.ts';

/** Room for a frame in the batch's memory: the largest there is, and what may come before it. */
const SLOT_BYTES = HEADROOM_BYTES + 66_000;

export interface SentFrame {
  readonly arm: number;
  readonly bytes: Uint8Array;
}

export interface MemoryDatapath extends BlockingDatapath {
  /** Frames that were sent, oldest first; the caller may empty it. */
  readonly sent: SentFrame[];
  /** Lets a frame arrive on an arm. */
  put(bytes: Uint8Array, arm: number, partialChecksum?: boolean): void;
  /** Cuts or mends a link. */
  setLink(arm: number, state: LinkState): void;
}

/** The tag of a frame, as the kernel takes it off before anybody sees it. */
function tagOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes.length >= 16 && view.getUint16(12) === TYPE_VLAN ? view.getInt32(12) : 0;
}

const withoutTag = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.of(...bytes.subarray(0, 12), ...bytes.subarray(12 + TAG_BYTES));

export function openMemory(arms: readonly Arm[]): MemoryDatapath {
  const memory = new Uint8Array(BATCH_FRAMES * SLOT_BYTES);
  const batch = createBatch(new DataView(memory.buffer));
  const counters = arms.map(createArmCounters);
  const links: LinkState[] = arms.map(() => 'up');
  const seen = [...links];
  const waiting: { bytes: Uint8Array; partial: boolean }[][] = arms.map(() => []);
  const sent: SentFrame[] = [];
  const queued: { arm: number; from: number; end: number; tag: number }[] = [];
  let turn = 0;

  function receive(): number {
    batch.count = 0;
    for (let tried = 0; tried < arms.length && batch.count === 0; tried++) {
      turn = (turn + 1) % arms.length;
      for (const { bytes, partial } of waiting[turn]?.splice(0, BATCH_FRAMES) ?? []) {
        const at = batch.count * SLOT_BYTES + HEADROOM_BYTES;
        const tag = tagOf(bytes);
        const bare = tag === 0 ? bytes : withoutTag(bytes);
        memory.set(bare, at);
        batch.at[batch.count] = at;
        batch.end[batch.count] = at + bare.length;
        batch.tag[batch.count] = tag;
        batch.offload[batch.count] = partial ? 1 : 0;
        batch.count++;
        count(turn, 'received', bytes.length);
      }
      batch.arm = turn;
    }
    return batch.count;
  }

  function count(arm: number, what: 'received' | 'sent', bytes: number): void {
    const row = counters[arm];
    if (row === undefined) return;
    row[`${what}Frames`]++;
    row[`${what}Bytes`] += bytes;
  }

  function transmit(frame: SentFrame): void {
    if (links[frame.arm] === 'up') {
      sent.push(frame);
      count(frame.arm, 'sent', frame.bytes.length);
      return;
    }
    const row = counters[frame.arm];
    if (row) row.failedFrames++;
  }

  function queue(index: number, arm: number, ahead: number): void {
    const tag = batch.tag[index] ?? 0;
    queued.push({ arm, from: (batch.at[index] ?? 0) - ahead, end: batch.end[index] ?? 0, tag });
  }

  function sendQueued(): void {
    for (const { arm, from, end, tag } of queued.splice(0)) {
      const bytes = memory.slice(from, end);
      transmit({ arm, bytes: tag === 0 ? bytes : withTag(bytes, tag) });
    }
  }

  return {
    kind: 'memory',
    arms,
    batch,
    counters,
    links: seen,
    sent,
    receive,
    flush: () => {
      sendQueued();
      batch.count = 0;
    },
    send: (index, arm) => queue(index, arm, 0),
    sendAhead: queue,
    sendCopy: (bytes, arm) => {
      sendQueued();
      transmit({ arm, bytes: bytes.slice() });
    },
    inject: (bytes, arm) => transmit({ arm, bytes: bytes.slice() }),
    put: (bytes, arm, partialChecksum = false) =>
      waiting[arm]?.push({ bytes: bytes.slice(), partial: partialChecksum }),
    setLink: (arm, state) => {
      links[arm] = state;
    },
    checkLinks: () => {
      const changed = links.some((state, arm) => state !== seen[arm]);
      for (const [arm, state] of links.entries()) seen[arm] = state;
      return changed;
    },
    wait: () => false,
    close: () => undefined,
  };
}
