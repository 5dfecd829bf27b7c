// The table of clients against a slow model: a Map of clients, each with the times of its flows.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ClientShare,
  createClientTable,
  enterClient,
  holdClient,
  isAtLimit,
  releaseClient,
  sweepClients,
} from '../../src/flow/client-table.ts';

const keyOf = (service: number, client: number): Int32Array =>
  Int32Array.of(service + 1, 0, 0, 0xffff, client);
const INTERVAL_MS = 100;
const SHARE: ClientShare = { flows: 4, intervalMs: INTERVAL_MS, burstMs: 3 * INTERVAL_MS };
const RATE_ALONE: ClientShare = { ...SHARE, flows: 0 };

/** A client as its service's doorkeeper would write it down. */
interface Entry {
  flows: number;
  /** Places of its bucket that are taken now, in parts. */
  taken: number;
  atMs: number;
}

const step = fc.record({
  what: fc.constantFrom('come', 'come', 'come', 'go', 'sweep'),
  client: fc.nat(5),
  service: fc.nat(1),
  after: fc.nat(120),
});

describe('the table of clients', () => {
  test('lets in whom a Map of them lets in', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
        const table = createClientTable(1024, seed);
        const model = new Map<string, Entry>();
        let nowMs = 0x7fff_ff00;
        for (const { what, client, service, after } of steps) {
          nowMs += after;
          const key = keyOf(service, client);
          const entry = model.get(key.join()) ?? { flows: 0, taken: 0, atMs: nowMs };
          model.set(key.join(), entry);
          entry.taken = Math.max(0, entry.taken - (nowMs - entry.atMs) / INTERVAL_MS);
          entry.atMs = nowMs;
          if (what === 'sweep') {
            sweepClients(table, nowMs | 0, table.maximum);
            const owes = (each: Entry) => each.taken * INTERVAL_MS - (nowMs - each.atMs) > 1e-6;
            const kept = [...model.values()].filter((each) => each.flows > 0 || owes(each));
            expect(table.active).toBe(kept.length);
            continue;
          }
          const number = enterClient(table, key, nowMs | 0);
          expect(table.flows[number]).toBe(entry.flows);
          if (what === 'go' && entry.flows > 0) {
            releaseClient(table, number);
            entry.flows--;
          } else if (what === 'come') {
            const full = entry.flows >= 4 || entry.taken + 1 > 3 + 1e-6;
            expect(isAtLimit(table, number, SHARE, nowMs | 0)).toBe(full);
            if (full) continue;
            holdClient(table, number, SHARE, nowMs | 0);
            entry.flows++;
            entry.taken++;
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('holds a rate for long, after a burst, whatever fractions it is made of', () => {
    const share = { flows: 0, intervalMs: 1000 / 7, burstMs: (5 * 1000) / 7 };
    const table = createClientTable(8, 1);
    let opened = 0;
    for (let nowMs = 0; nowMs < 100_000; nowMs++) {
      const number = enterClient(table, keyOf(0, 1), nowMs);
      if (isAtLimit(table, number, share, nowMs)) continue;
      holdClient(table, number, share, nowMs);
      opened++;
    }
    expect(opened).toBeGreaterThanOrEqual(690);
    expect(opened).toBeLessThanOrEqual(705);
  });

  test('owes nothing for a flow that it opened long ago and still has', () => {
    const table = createClientTable(8, 1);
    const share = { ...RATE_ALONE, burstMs: INTERVAL_MS };
    const number = enterClient(table, keyOf(0, 1), 0);
    holdClient(table, number, share, 0);
    const DAY_MS = 86_400_000;
    for (let day = 1; day <= 30; day++) sweepClients(table, (day * DAY_MS) | 0, 8);
    expect(table.active).toBe(1);
    expect(isAtLimit(table, number, share, (30 * DAY_MS) | 0)).toBe(false);
  });

  test('gives up who owes least where a set is full, and never who has flows', () => {
    const table = createClientTable(8, 3);
    const enter = (client: number) => enterClient(table, keyOf(0, client), 0);
    for (let client = 0; client < 8; client++) {
      for (let flow = 0; flow <= client; flow++) holdClient(table, enter(client), RATE_ALONE, 0);
    }
    expect(enter(8)).toBe(-1);
    const place = enter(3);
    for (let flow = 0; flow <= 3; flow++) releaseClient(table, place);
    releaseClient(table, enter(0));
    // Client 0 owes for one flow, client 3 for four.
    const freed = enter(0);
    expect(enter(9)).toBe(freed);
    expect(enter(3)).toBe(place);
    expect(table.active).toBe(8);
    expect(isAtLimit(table, enter(9), { ...RATE_ALONE, burstMs: INTERVAL_MS }, 0)).toBe(false);
  });
});
