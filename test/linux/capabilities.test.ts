// Capabilities from the text of /proc/PID/status: effective ones for the process, and what a child
// inherits, which differs between root and everybody else.
import { expect, test } from 'vitest';
import { parseCapabilities, readCapabilities } from '../../src/linux/capabilities.ts';

const RAW = '0000000000002000';
const ADMIN = '0000000000001000';
const BOTH = '0000000000003000';
const NONE = '0000000000000000';

function status(sets: { uid: number; effective: string; bounding: string; ambient: string }) {
  const { uid, effective, bounding, ambient } = sets;
  return [
    'Name:\tnode',
    `Uid:\t1000\t${uid}\t${uid}\t${uid}`,
    `CapInh:\t${NONE}`,
    `CapPrm:\t${effective}`,
    `CapEff:\t${effective}`,
    `CapBnd:\t${bounding}`,
    `CapAmb:\t${ambient}`,
  ].join('\n');
}

test('effective capabilities are those of the process', () => {
  const sets = { uid: 1000, bounding: BOTH, ambient: NONE };
  expect(parseCapabilities(status({ ...sets, effective: RAW }))).toMatchObject({
    netRaw: true,
    netAdmin: false,
  });
  expect(parseCapabilities(status({ ...sets, effective: ADMIN }))).toMatchObject({
    netRaw: false,
    netAdmin: true,
  });
});

test('a child of root gets the bounding set', () => {
  const sets = { uid: 0, effective: BOTH, ambient: NONE };
  expect(parseCapabilities(status({ ...sets, bounding: ADMIN })).childNetAdmin).toBe(true);
  expect(parseCapabilities(status({ ...sets, bounding: RAW })).childNetAdmin).toBe(false);
});

test('a child of anybody else gets the ambient set alone: setcap on node gives it nothing', () => {
  const sets = { uid: 1000, effective: BOTH, bounding: BOTH };
  expect(parseCapabilities(status({ ...sets, ambient: RAW })).childNetAdmin).toBe(false);
  expect(parseCapabilities(status({ ...sets, ambient: ADMIN })).childNetAdmin).toBe(true);
});

test('a text without the lines has no capabilities', () => {
  expect(parseCapabilities('Name:\tnode\n')).toEqual({
    netRaw: false,
    netAdmin: false,
    childNetAdmin: false,
    bpf: false,
  });
});

test('the own process has what its user says it has', () => {
  if (process.geteuid?.() !== 0) expect(readCapabilities().netAdmin).toBe(false);
  expect(typeof readCapabilities().netRaw).toBe('boolean');
});
