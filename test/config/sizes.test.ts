// How many of something a configuration may ask for, and what it is told when that is too few, too
// many, or does not fit together.
import { describe, expect, it } from 'vitest';
import { problemsOf, withLine } from './good-file.ts';

type Case = [
  name: string,
  text: string,
  place: string,
  found: string,
  allowed: string,
  advice?: string,
];

const CASES: Case[] = [
  [
    'fewer half-open flows than any burst has',
    withLine(2, 'flows: { halfOpenMaximum: 255 }'),
    ':2:27 flows.halfOpenMaximum',
    '255',
    'a whole number from 256 to 16000000',
  ],
  [
    'more half-open flows than flows',
    withLine(2, 'flows: { maximum: 1024, halfOpenMaximum: 1025 }'),
    ':2:42 flows.halfOpenMaximum',
    '1025',
    'at most 1024, the maximum of all flows',
  ],
  [
    'more reals than slots',
    withLine(
      8,
      '    hash: { slots: 251 }',
      '    reals:',
      ...Array.from({ length: 252 }, (_, n) => `      - 192.0.3.${n + 1}`),
      '  other:',
      ...['    vip: 192.0.2.77', '    port: 80', '    method: dsr'],
    ),
    ':8:20 services.web.hash.slots',
    '251 for 252 reals',
    'at least as many slots as reals',
    'a hundred times as many give shares true to 1 %',
  ],
  [
    'more workers than there may be',
    withLine(2, 'workers: 17'),
    ':2:10 workers',
    '17',
    'a whole number from 1 to 16',
  ],
  [
    'workers with cap',
    withLine(2, 'datapath: cap', 'workers: 2'),
    ':3:10 workers',
    '2 with datapath cap',
    '1, for cap has no way to share frames out',
    'the datapaths ring and tc can have several',
  ],
];

describe('a number that cannot be', () => {
  it.each(CASES)('%s', (_, text, place, found, allowed, advice) => {
    const end = advice === undefined ? '' : ` (${advice})`;
    expect(problemsOf(text)).toEqual([`f.yaml${place}: found ${found}, allowed ${allowed}${end}`]);
  });
});
