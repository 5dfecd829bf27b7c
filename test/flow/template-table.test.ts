// Templates against a slow model: a list of what was noted, looked through from the front.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createTemplateTable,
  findTemplate,
  holdTemplate,
  KEY_WORDS,
  putTemplate,
  releaseTemplate,
  sweepTemplates,
} from '../../src/flow/template-table.ts';

const keyOf = (service: number, client: number): Int32Array =>
  Int32Array.of(service + 1, 0, 0, 0xffff, client);
const TIMEOUT_MS = 1000;

interface Entry {
  readonly key: Int32Array;
  realId: number;
  expiresMs: number;
  flows: number;
}

/** What a client that comes `after` so many milliseconds does. */
const step = fc.record({
  what: fc.constantFrom('come', 'come', 'go', 'sweep'),
  client: fc.nat(5),
  service: fc.nat(1),
  realId: fc.nat(3),
  after: fc.nat(700),
});

describe('the table of templates', () => {
  test('knows what a list of them knows', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer(), (steps, seed) => {
        const table = createTemplateTable(1024, seed);
        const model: Entry[] = [];
        const lives = (entry: Entry, nowMs: number) => entry.flows > 0 || entry.expiresMs > nowMs;
        let nowMs = 0x7fff_ff00;
        for (const { what, client, service, realId, after } of steps) {
          nowMs += after;
          const key = keyOf(service, client);
          const known = model.find((entry) => entry.key.join() === key.join());
          const expected = known !== undefined && lives(known, nowMs) ? known : undefined;
          const found = findTemplate(table, key, nowMs | 0);
          expect(found < 0 ? undefined : table.realIds[found]).toBe(expected?.realId);
          if (what === 'come') {
            const number = putTemplate(table, key, realId, TIMEOUT_MS, nowMs | 0);
            holdTemplate(table, number);
            const entry = known ?? { key, realId, expiresMs: 0, flows: 0 };
            if (known === undefined) model.push(entry);
            Object.assign(entry, { realId, expiresMs: nowMs + TIMEOUT_MS, flows: entry.flows + 1 });
          } else if (what === 'go' && found >= 0 && known !== undefined && known.flows > 0) {
            releaseTemplate(table, found);
            known.flows--;
          } else if (what === 'sweep') {
            sweepTemplates(table, nowMs | 0, table.maximum);
            expect(table.active).toBe(model.filter((entry) => lives(entry, nowMs)).length);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('gives up those without flows that end first, and never one with flows', () => {
    const table = createTemplateTable(8, 1);
    const put = (client: number, nowMs: number) =>
      putTemplate(table, keyOf(0, client), client, TIMEOUT_MS, nowMs);
    for (let client = 0; client < 8; client++) {
      const number = put(client, client);
      if (client !== 2) holdTemplate(table, number);
    }
    expect(put(8, 10)).toBeGreaterThanOrEqual(0);
    expect(findTemplate(table, keyOf(0, 2), 10)).toBe(-1);
    expect(findTemplate(table, keyOf(0, 3), 5000)).toBeGreaterThanOrEqual(0);
    holdTemplate(table, findTemplate(table, keyOf(0, 8), 10));
    expect(put(9, 20)).toBe(-1);
    expect(table.active).toBe(8);
  });

  test('never takes more than it says', () => {
    const table = createTemplateTable(1000, 5);
    expect(table.maximum).toBe(512);
    for (let client = 0; client < 5000; client++) putTemplate(table, keyOf(0, client), 0, 1000, 0);
    expect(table.active).toBeLessThanOrEqual(512);
    expect(table.keys).toHaveLength(512 * KEY_WORDS);
    sweepTemplates(table, 1000, 512);
    expect(table.active).toBe(0);
  });
});
