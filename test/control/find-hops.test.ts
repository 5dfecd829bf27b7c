// The routers that lead to reals beyond the director's own networks, as `ip route get` tells them:
// here a script in its place, which notes what it is asked.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readRoutes } from '../../src/control/find-hops.ts';
import { ARMS } from '../packets/scene.ts';
import { sampleConfig } from './sample-config.ts';

const path = process.env.PATH;
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'furiwake-hops-'));
  const script = [
    '#!/bin/sh',
    `echo "$*" >> ${directory}/asked`,
    'echo \'[{"dst":"x","gateway":"192.0.2.254","dev":"out"}]\'',
  ];
  writeFileSync(join(directory, 'ip'), script.join('\n'));
  chmodSync(join(directory, 'ip'), 0o755);
  process.env.PATH = `${directory}${delimiter}${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(directory, { recursive: true });
});

test('reals and sorry servers beyond a router are asked for, each once', () => {
  const [web] = sampleConfig().services;
  const at = (address: string, gateway?: string) =>
    ({ ...web!.reals[0]!, address, gateway, method: 'ipip' }) as const;
  const services = [
    {
      ...{ ...web!, sorry: at('203.0.113.99') },
      // The second is near, the third says by which router.
      reals: [at('203.0.113.21'), at('192.0.2.11'), at('203.0.113.22', '192.0.2.253')],
    },
    { ...web!, reals: [at('203.0.113.21')] },
    // By DSR there is no way through a router.
    { ...web!, reals: [{ ...at('203.0.113.23'), method: 'dsr' } as const] },
  ];
  const route = { gateway: '192.0.2.254', interface: 'out' };
  expect([...readRoutes(sampleConfig({ services }), ARMS)]).toEqual([
    ['203.0.113.21', route],
    ['203.0.113.99', route],
  ]);
  expect(readFileSync(join(directory, 'asked'), 'utf8').trim().split('\n')).toEqual([
    '-j route get 203.0.113.21',
    '-j route get 203.0.113.99',
  ]);
});
