// The fragment table as slow and plain as can be: a list of at most eight packets, as if they all
// fell into one bucket, and a list of held frames. What gives way to what is written out, and which
// addresses are held is counted anew each time.
import {
  ECHOED,
  PASSED,
  REFUSED,
  TO_CLIENT,
  TO_REAL,
  WAITING,
} from '../../src/flow/fragment-table.ts';

const MOST_PACKETS = 8;
const LIFETIME_MS = 15_000;
const WAIT_MS = 2000;

interface Packet {
  readonly key: string;
  way: number;
  expiresMs: number;
  seenBytes: number;
  totalBytes: number;
  /** Addresses that its way holds. */
  ends: readonly number[];
}

interface HeldFrame {
  readonly packet: Packet;
  readonly text: string;
}

export class FragmentModel {
  packets: Packet[] = [];
  /** The places of the ring of held frames, the oldest first. */
  places: (HeldFrame | undefined)[];
  late = 0;
  displaced = 0;

  constructor(mostHeld: number) {
    this.places = Array.from({ length: mostHeld }, () => undefined);
  }

  find(key: string, nowMs: number): Packet | undefined {
    return this.packets.find((packet) => packet.key === key && packet.expiresMs > nowMs);
  }

  /** Undefined if there is no room. */
  add(key: string, way: number, nowMs: number): Packet | undefined {
    if (this.packets.length === MOST_PACKETS && !this.makeRoom(way, nowMs)) return undefined;
    const packet = { key, way, expiresMs: 0, seenBytes: 0, totalBytes: 0, ends: [] };
    this.packets.push(packet);
    this.refresh(packet, nowMs);
    return packet;
  }

  private makeRoom(way: number, nowMs: number): boolean {
    const worths = this.packets.map((packet) => this.worth(packet, nowMs));
    const least = Math.min(...worths);
    if (least > worthOfWay(way)) return false;
    const candidates = this.packets.filter((_, index) => worths[index] === least);
    candidates.sort((one, other) => one.expiresMs - other.expiresMs);
    this.remove(candidates[0]!, nowMs);
    return true;
  }

  private worth(packet: Packet, nowMs: number): number {
    if (packet.expiresMs <= nowMs) return 0;
    const isDone = packet.seenBytes === packet.totalBytes;
    return isDone && packet.way !== WAITING ? 1 : worthOfWay(packet.way);
  }

  remove(packet: Packet, nowMs: number): void {
    const lost = this.places.filter((place) => place?.packet === packet).length;
    if (packet.expiresMs <= nowMs) this.late += lost;
    else this.displaced += lost;
    this.places = this.places.map((place) => (place?.packet === packet ? undefined : place));
    this.packets = this.packets.filter((other) => other !== packet);
  }

  restart(packet: Packet, way: number, nowMs: number): void {
    if (packet.way !== WAITING) {
      packet.seenBytes = 0;
      packet.totalBytes = 0;
    }
    packet.way = way;
    packet.ends = [];
    this.refresh(packet, nowMs);
  }

  count(packet: Packet, payloadBytes: number, totalBytes: number, nowMs: number): void {
    packet.seenBytes += payloadBytes;
    if (totalBytes > 0) packet.totalBytes = totalBytes;
    if (packet.way !== WAITING) this.refresh(packet, nowMs);
  }

  private refresh(packet: Packet, nowMs: number): void {
    packet.expiresMs = nowMs + (packet.way === WAITING ? WAIT_MS : LIFETIME_MS);
  }

  hold(packet: Packet, text: string): void {
    if (this.places.shift() !== undefined) this.displaced++;
    this.places.push({ packet, text });
  }

  /** The frames of a packet, oldest first; they are held no longer. */
  takeHeld(packet: Packet): string[] {
    const own = this.places.filter((place) => place?.packet === packet);
    this.places = this.places.map((place) => (place?.packet === packet ? undefined : place));
    return own.map((place) => place!.text);
  }

  sweep(nowMs: number): void {
    for (const packet of this.packets) if (packet.expiresMs <= nowMs) this.remove(packet, nowMs);
  }

  /** How often each address is held by packets whose time is not over. */
  holdsOf(address: number, nowMs: number): number {
    const live = this.packets.filter(({ expiresMs }) => expiresMs > nowMs);
    return live.flatMap(({ ends }) => ends).filter((end) => end === address).length;
  }

  get holding(): number {
    return this.places.filter((place) => place !== undefined).length;
  }
}

const WORTHS = new Map([
  [PASSED, 1],
  [REFUSED, 1],
  [WAITING, 2],
  [TO_REAL, 3],
  [TO_CLIENT, 3],
  [ECHOED, 3],
]);

const worthOfWay = (way: number): number => WORTHS.get(way)!;
