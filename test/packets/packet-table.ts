// The form of the packet tables (as Katran has them): a name, a frame in, the verdict, what is true
// of the frame that comes out, and every counter that moves.
import { expect, test } from 'vitest';
import type { Check } from './checks.ts';
import { makeScene, type Scene } from './scene.ts';

export interface PacketCase {
  readonly name: string;
  /** The director that the frame meets; the standard one unless given. */
  readonly scene?: () => Scene;
  /** Frames that came before. */
  readonly before?: (scene: Scene) => void;
  readonly frame: Uint8Array;
  readonly arm?: number;
  readonly partial?: boolean;
  /** Payload of each segment of a super-frame. */
  readonly segmentBytes?: number;
  readonly verdict: string;
  readonly checks: readonly Check[];
  readonly moved: Record<string, number>;
}

/** Makes one test of each case. */
export function testPackets(cases: readonly PacketCase[]): void {
  test.each(cases)('$name', (packet) => {
    const scene = packet.scene?.() ?? makeScene();
    packet.before?.(scene);
    const { frame, arm = 0, partial = false, segmentBytes = 0 } = packet;
    const outcome = scene.receive(frame, { arm, partial, segmentBytes });
    expect(outcome.verdict).toBe(packet.verdict);
    for (const check of packet.checks) check(frame, outcome.frame);
    expect(outcome.moved).toEqual(packet.moved);
  });
}
