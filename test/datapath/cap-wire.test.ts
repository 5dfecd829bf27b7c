// The cap datapath and its data plane on a real wire, each in a child process of its own, as `cap`
// demands: checksums that the sender's offload left open, captures that change, links that go.
import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FromDataPlane } from '../../src/control/messages.ts';
import { LINK_LOST_TEXT } from '../../src/datapath/cap-handle-unsafe.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import { type Counters, GLOBAL, wrapCounters } from '../../src/director/counters.ts';
import { buildTable, type Table } from '../../src/director/table.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import { whyNoNamespace } from '../linux/namespace.ts';
import { makeWirePair, type WirePair } from '../linux/wire-pair.ts';

const why = whyNoNamespace();
const ROOM = { arms: 1, services: 4, reals: 4 };
const VIP = '10.7.0.100';
const OTHER_VIP = '10.7.0.101';
const POLL = { timeout: 20_000 };

/** Sends every UDP datagram back to where it came from, and says 'ready'. */
const ECHO = `
  const { openCap } = await import('./dist/src/datapath/cap.js');
  const ethernet = await import('./dist/src/wire/ethernet.js');
  const ipv4 = await import('./dist/src/wire/ipv4.js');
  process.once('message', ({ arms, vip }) => {
    const datapath = openCap({ arms, vips: Int32Array.of(vip), reals: new Int32Array(0) });
    datapath.onReadable(() => {
      while (datapath.receive() > 0) {
        const { frame, at, count } = datapath.batch;
        for (let index = 0; index < count; index++) {
          if (ethernet.type(frame, at[index]) !== 0x0800) continue;
          turnRound(frame, at[index]);
          datapath.send(index, 0);
        }
        datapath.flush();
      }
      datapath.checkLinks();
      process.send(datapath.counters[0]);
    });
    process.send('ready');
  });
  process.on('disconnect', () => process.exit(0));
  function turnRound(frame, at) {
    const [high, low] = [ethernet.sourceHigh(frame, at), ethernet.sourceLow(frame, at)];
    ethernet.setSource(frame, at, ethernet.destinationHigh(frame, at), ethernet.destinationLow(frame, at));
    ethernet.setDestination(frame, at, high, low);
    // Swapping addresses and ports leaves every checksum as it is.
    const [source, destination] = [frame.getInt32(at + 26), frame.getInt32(at + 30)];
    frame.setInt32(at + 26, destination);
    frame.setInt32(at + 30, source);
    const ports = frame.getUint32(at + 34);
    frame.setUint32(at + 34, ((ports << 16) | (ports >>> 16)) >>> 0);
  }
`;

/** Sends datagrams of these sizes one by one and prints the size of each answer. */
const ASK = `
  const socket = require('node:dgram').createSocket('udp4');
  const sizes = process.argv[2].split(',').map(Number);
  socket.on('message', (answer) => { console.log(answer.length); next(); });
  const next = () => {
    const size = sizes.shift();
    if (size === undefined) return socket.close();
    socket.send(Buffer.alloc(size, size), 7000, process.argv[1]);
  };
  next();
`;

function tableOf(vip: string): Table {
  const scheduler = schedulerNamed('rr');
  const schedule = scheduler.build([{ key: '10.7.0.1:80', weight: 1 }], { seed: 1 });
  const address = parseIpv4('10.7.0.1')!;
  const reals = [{ id: 0, address, port: 80, method: 'dsr', arm: 0 }] as const;
  const vips = [{ address: parseIpv4(vip)!, prefixLength: 32 }];
  const ports = [{ from: 80, to: 80 }];
  return buildTable([{ id: 0, vips, ports, protocols: [6], schedule, reals }]);
}

describe.skipIf(why !== undefined)(`cap on a wire ${why ?? ''}`, () => {
  let wire: WirePair;
  const children: ChildProcess[] = [];
  beforeAll(() => {
    wire = makeWirePair();
  });
  afterAll(() => wire.remove());
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function start(argv: readonly string[]) {
    const child = spawn('ip', ['netns', 'exec', wire.far, process.execPath, ...argv], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    children.push(child);
    const messages: unknown[] = [];
    let log = '';
    child.on('message', (message) => messages.push(message));
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
    // Not 'close': Node does not emit that after a disconnect from this side.
    const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    return { child, messages, ended, log: () => log };
  }

  function armOf(name = 'eth0'): Arm {
    const mac = parseMac(wire.farMac)!;
    return {
      ...{ name, interfaceIndex: 2, macHigh: mac.high, macLow: mac.low, mtu: 1500 },
      ...{ address: parseIpv4('10.7.0.2')!, prefixLength: 24 },
    };
  }

  async function startPlane(arm = armOf()) {
    const plane = start(['dist/src/control/data-plane-child.js']);
    const heard = plane.messages as FromDataPlane[];
    plane.child.send({
      ...{ datapath: 'cap', arms: [arm], ringSlots: 1024, maximumFlows: 1024, room: ROOM },
      ...{ counters: undefined, table: tableOf(VIP) },
    });
    const first = () => heard.find(({ type }) => type === 'ready' || type === 'failed')?.type;
    await expect.poll(first, POLL).toBeDefined();
    return { ...plane, heard };
  }

  // How many of three are answered. One at a time: after a first answer ping waits for the others
  // no longer than twice as long.
  const ping = (address: string): number => {
    const script = `for i in 1 2 3; do ping -q -c 1 -W 2 ${address} || true; done`;
    return wire.run(wire.near, 'sh', '-c', script).split(' 0% packet loss').length - 1;
  };

  test('finishes what offload left open: a host takes its own datagrams back', async () => {
    const { child, messages } = start(['--input-type=module', '-e', ECHO]);
    child.send({ arms: [armOf()], vip: parseIpv4('10.7.0.9') });
    await expect.poll(() => messages[0], POLL).toBe('ready');
    const features = wire.run(wire.near, 'ethtool', '-k', 'eth0');
    expect(features).toContain('tx-checksumming: on');
    wire.run(wire.near, 'ip', 'neigh', 'replace', '10.7.0.9', 'lladdr', wire.farMac, 'dev', 'eth0');
    const sizes = [1, 2, 17, 100, 1471, 1472];
    const answers = wire.run(
      wire.near,
      ...['timeout', '20', process.execPath, '-e', ASK, '10.7.0.9', sizes.join()],
    );
    expect(answers.trim().split('\n').map(Number)).toEqual(sizes);
    const count = { receivedFrames: 6, sentFrames: 6, missedFrames: 0, failedFrames: 0 };
    await expect.poll(() => messages.at(-1), POLL).toMatchObject(count);
  });

  test('the data plane answers for its VIPs, posts its counters, and stops when told', async () => {
    const { child, heard, ended } = await startPlane();
    expect(ping(VIP)).toBe(3);
    expect(ping(OTHER_VIP)).toBe(0);
    child.send({ type: 'stop' });
    const { code } = await ended;
    expect([code, heard.at(-1)?.type]).toEqual([0, 'stopped']);
    const last = heard.findLast((message) => message.type === 'counters');
    const counters = countersOf(last?.type === 'counters' ? last.values : new Float64Array(0));
    expect(counters.values[GLOBAL.echoAnswers]).toBe(3);
    expect(counters.values[GLOBAL.arpAnswers]).toBeGreaterThan(0);
  });

  test('a new table brings new captures, many times over', async () => {
    const { child, heard } = await startPlane();
    for (let round = 0; round < 20; round += 1) {
      child.send({ type: 'table', table: tableOf(round % 2 === 0 ? OTHER_VIP : VIP) });
    }
    child.send({ type: 'table', table: tableOf(OTHER_VIP) });
    child.send({ type: 'flows', request: 1, limit: 1 });
    await expect.poll(() => heard.some(({ type }) => type === 'flows'), POLL).toBe(true);
    expect(ping(OTHER_VIP)).toBe(3);
    wire.run(wire.near, 'ip', 'neigh', 'flush', 'all');
    expect(ping(VIP)).toBe(0);
  });

  test('an interface that goes down ends the process, recognizably', async () => {
    const { ended, log } = await startPlane();
    wire.run(wire.far, 'ip', 'link', 'set', 'eth0', 'down');
    const { signal } = await ended;
    wire.run(wire.far, 'ip', 'link', 'set', 'eth0', 'up');
    expect(signal).toBe('SIGABRT');
    await expect.poll(log, POLL).toContain(LINK_LOST_TEXT);
  });

  test('the process ends with its parent', async () => {
    const { child, ended } = await startPlane();
    child.disconnect();
    expect((await ended).code).toBe(0);
  });

  test('an interface that cannot be captured on is a message, not a crash', async () => {
    const { heard, ended } = await startPlane(armOf('eth9'));
    expect(heard).toMatchObject([{ type: 'failed' }]);
    expect(JSON.stringify(heard)).toContain('cannot capture on eth9: ');
    expect((await ended).code).toBe(0);
  });
});

/** Counters from what was posted of them. */
function countersOf(posted: Float64Array): Counters {
  const buffer = new ArrayBuffer(1 << 16);
  new Float64Array(buffer).set(posted);
  return wrapCounters(buffer, ROOM);
}
