// What a file says of the life of flows: durations, what goes together and what does not.
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { problemsOf, withLine } from './good-file.ts';

const FLOW_TIME =
  'a duration from 1s to 20d: a whole number of seconds, or with a unit, such as 30s, 15m, 2h, 1d';

/** The good file with these lines at its top, or in place of the scheduler of its first service. */
const withTop = (line: string) => withLine(2, line);
const withService = (...lines: string[]) => withLine(8, ...lines.map((line) => `    ${line}`));
const withReal = (rest: string) => withLine(11, `      - { address: 192.0.2.22, ${rest} }`);

function configOf(text: string) {
  const result = parseConfig(text, 'f.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

describe('a duration', () => {
  it.each([
    ['90', 90],
    ['30s', 30],
    ['15m', 900],
    ['2h', 7200],
    ['20d', 1_728_000],
  ])('%s', (text, seconds) => {
    const { timeouts } = configOf(withTop(`timeouts: { udp: ${text} }`));
    expect(timeouts?.udp).toBe(seconds * 1000);
  });

  it.each(['0', '0s', '-5', '1.5', '21d', '30 s', '1h30m', 'soon', '500ms', 'true', '[1]'])(
    'is not %s',
    (text) => {
      const [problem, ...more] = problemsOf(withTop(`timeouts: { udp: ${text} }`));
      expect(problem).toMatch(/^f\.yaml:2:18 timeouts\.udp: found /);
      expect(problem).toContain(`allowed ${FLOW_TIME}`);
      expect(more).toEqual([]);
    },
  );
});

describe('the life of flows in a file', () => {
  it('is read with its defaults', () => {
    const [service] = configOf(withService('persistence: {}', 'sorry: 192.0.2.99')).services;
    expect(service).toMatchObject({
      persistence: { timeout: 360_000, prefix: 32, prefix6: 128 },
      sorry: { address: '192.0.2.99', port: 80, name: '192.0.2.99:80' },
    });
    const [limited] = configOf(withService('limits: { flowsPerClient: 9 }')).services;
    expect(limited?.limits).toEqual({ flowsPerClient: 9, prefix: 32, prefix6: 64 });
    const [, real] = configOf(withReal('drain: {}, thresholds: { upper: 9 }')).services[0]!.reals;
    expect(real).toMatchObject({
      drain: { old: 'keep', timeout: 0 },
      thresholds: { upper: 9 },
    });
  });

  it.each<[name: string, text: string, problem: string]>([
    [
      'a state that is none',
      withTop('timeouts: { estblished: 5m }'),
      'f.yaml:2:13 timeouts.estblished: found the unknown key estblished, allowed the keys ' +
        'established, synSent, synRecv, finWait, timeWait, close, closeWait, lastAck, listen, ' +
        'synAck, udp, sctpInit1, sctpInit, sctpCookieSent, sctpCookieReplied, sctpCookieWait, ' +
        'sctpCookie, sctpCookieEchoed, sctpEstablished, sctpShutdownSent, sctpShutdownReceived, ' +
        'sctpShutdownAckSent, sctpRejected, sctpClosed (did you mean established?)',
    ],
    [
      'a prefix that is too long',
      withService('persistence: { prefix: 33 }'),
      'f.yaml:8:28 services.web.persistence.prefix: found 33, allowed a whole number from 1 to 32',
    ],
    [
      'limits that limit nothing',
      withService('limits: { prefix: 24 }'),
      'f.yaml:8:13 services.web.limits: found a mapping, allowed a mapping with flowsPerClient, ' +
        'newFlowsPerSecond or both, such as { flowsPerClient: 100 }',
    ],
    [
      'a burst of nothing',
      withService('limits: { flowsPerClient: 9, burst: 5 }'),
      'f.yaml:8:41 services.web.limits.burst: found 5, allowed a burst beside newFlowsPerSecond',
    ],
    [
      'a rate that is no number',
      withService('limits: { newFlowsPerSecond: 10/s }'),
      'f.yaml:8:34 services.web.limits.newFlowsPerSecond: found "10/s", allowed a whole number ' +
        'from 1 to 1000000',
    ],
    [
      'a limit that is none',
      withService('limits: { flowsPerclient: 5 }'),
      'f.yaml:8:15 services.web.limits.flowsPerclient: found the unknown key flowsPerclient, ' +
        'allowed the keys flowsPerClient, newFlowsPerSecond, burst, prefix, prefix6 ' +
        '(did you mean flowsPerClient?)',
    ],
    [
      'a word for old flows that is none',
      withReal('drain: { old: kill }'),
      'f.yaml:11:46 services.web.reals[1].drain.old: found "kill", allowed one of: keep, cut, reset',
    ],
    [
      'a drain without end that has an end',
      withReal('drain: { timeout: 60s }'),
      'f.yaml:11:41 services.web.reals[1].drain.timeout: found a timeout with old: keep, allowed ' +
        'it with old: cut or old: reset (old flows that are kept live to their end)',
    ],
    [
      'a lower threshold above the upper one',
      withReal('thresholds: { upper: 5, lower: 6 }'),
      'f.yaml:11:63 services.web.reals[1].thresholds.lower: found 6, allowed at most upper, ' +
        'which is 5',
    ],
    [
      'a sorry server that is asked for and not there',
      withService('whenAllDown: sorry'),
      'f.yaml:8:18 services.web.whenAllDown: found sorry without a sorry server, allowed refuse ' +
        'or failOpen (give the server too, such as sorry: 192.0.2.99)',
    ],
    [
      'a sorry server that is never asked',
      withService('sorry: 192.0.2.99', 'whenAllDown: failOpen'),
      'f.yaml:9:18 services.web.whenAllDown: found failOpen beside a sorry server, allowed sorry ' +
        '(or leave the sorry server out)',
    ],
    [
      'one packet of a connection',
      withService('onePacket: true'),
      'f.yaml:8:16 services.web.onePacket: found true with protocol tcp, allowed true with ' +
        'protocol udp alone (a connection has more than one packet)',
    ],
    ...['[udp, tcp]', 'sctp'].map((protocol): [string, string, string] => [
      `one packet of ${protocol}`,
      withService(`protocol: ${protocol}`, 'onePacket: true'),
      `f.yaml:9:16 services.web.onePacket: found true with protocol ${protocol === 'sctp' ? 'sctp' : 'tcp'}` +
        ', allowed true with protocol udp alone (a connection has more than one packet)',
    ]),
    [
      'a slow start by hash',
      withService('slowStart: 30s'),
      'f.yaml:8:5 services.web.slowStart: found slowStart with scheduler maglev, allowed it with ' +
        'rr, wrr, lc, wlc, sed, nq, fo, ovf, lblc, lblcr, random, twos (by hash each client has ' +
        'its real, and directors agree on it; a growing share would undo both)',
    ],
    [
      'a sorry server that is a VIP',
      withService('sorry: 192.0.2.53'),
      'f.yaml:8:12 services.web.sorry: found 192.0.2.53, the VIP of service dns, allowed the ' +
        "real's own address (the director answers for a VIP itself, so no frame could reach " +
        'this real)',
    ],
  ])('is refused: %s', (_, text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  it('is refused: datagrams alone to a sorry server by NAT', () => {
    const [problem] = problemsOf(
      withService('protocol: udp', 'onePacket: true', 'sorry: { address: 192.0.2.9, method: nat }'),
    );
    expect(problem).toContain('services.web.onePacket: found true with method nat');
  });

  it('is refused: datagrams alone by NAT, whose replies nobody could lead back', () => {
    const [problem] = problemsOf(withLine(16, '    method: nat', '    onePacket: true'));
    expect(problem).toContain('services.dns.onePacket: found true with method nat');
  });
});
