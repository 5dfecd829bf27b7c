// verify on real labs: all claims hold on a right one; verify-breaks.test.ts has the wrong ones.
// Four send all that verify sends, the others what it sends when it is quick.
// Needs root and the lab's programs; the skipped suite says what is missing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whyNoLab } from '../../lab/requirements.ts';
import type { TopologyName } from '../../lab/topologies/topology.ts';
import { loadCaptures } from '../../lab/verify/captures.ts';
import { judge } from '../../lab/verify/claims.ts';
import { verifyTopology } from '../../lab/verify/run-verify.ts';

const reason = whyNoLab();
const TIMEOUT_MS = 120_000;

describe.skipIf(reason !== undefined)(`verify on a lab${reason ? `: ${reason}` : ''}`, () => {
  let directory = '';
  const said: string[] = [];
  const say = (line: string) => said.push(line);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'furiwake-verify-'));
    said.length = 0;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it.each<[TopologyName, 'ring' | 'cap', 'whole'?]>([
    ['dsr', 'ring', 'whole'],
    ['nat', 'ring', 'whole'],
    ['dsr', 'cap'],
    ['nat', 'cap'],
    ['dsr6', 'ring'],
    ['nat6', 'ring'],
    ['dsr6', 'cap'],
    ['nat6', 'cap'],
    ['fullnat', 'ring'],
    ['fullnat', 'cap'],
    ['fullnat6', 'ring', 'whole'],
    ['fullnat6', 'cap'],
    ['ipip', 'ring', 'whole'],
    ['ipip', 'cap'],
    ['gue', 'ring'],
    ['gue', 'cap'],
    ['ipip6', 'ring'],
    ['ipip6', 'cap'],
    ['gue6', 'ring'],
    ['gue6', 'cap'],
  ])(
    '%s by %s: every claim holds',
    async (topology, datapath, whole) => {
      const options = { topology, datapath, keep: directory, quick: whole === undefined };
      const result = await verifyTopology(options, say);
      const wrong = result.claims.filter((claim) => claim.verdict !== 'holds');
      expect(wrong, result.damage ?? '').toEqual([]);
      expect(result.holds).toBe(true);
      const { traffic } = result;
      expect(traffic?.requestsAnswered).toBe(traffic?.requests);
      expect(traffic?.transfersDone).toBe(traffic?.transfers);
      // What was kept gives the same claims again.
      expect(judge(await loadCaptures(directory))).toEqual(result.claims);
    },
    TIMEOUT_MS,
  );
});
