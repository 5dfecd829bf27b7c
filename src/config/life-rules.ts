// Rules of the life of flows that one key alone cannot show: what does not go with a scheduler, a
// method or another key. They read raw data, and pass over what the schema refuses.
import { SCHEDULER_NAMES, type SchedulerName } from '../schedule/scheduler.ts';
import { PROTOCOLS } from './listening.ts';
import { type DataPath, describe, type Finding } from './problem.ts';

type Mapping = Readonly<Record<string, unknown>>;

const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** By hash a client has its real, and directors agree on it: a share that grows would undo both. */
const BY_HASH: readonly SchedulerName[] = ['sh', 'dh', 'maglev', 'rendezvous'];

/** @param service the raw data of one service; `scheduler` is what it has, filled in */
export function lifeMisfits(
  path: DataPath,
  service: unknown,
  scheduler?: SchedulerName,
): Finding[] {
  if (!isMapping(service)) return [];
  const reals = Array.isArray(service.reals) ? service.reals : [];
  return [
    ...whoServesInstead(path, service),
    ...oneDatagramAlone(path, service),
    ...slowHashes(path, service, scheduler),
    ...reals.flatMap((real, index) => realMisfits([...path, 'reals', index], real)),
  ];
}

function whoServesInstead(path: DataPath, { sorry, whenAllDown }: Mapping): Finding[] {
  const at = [...path, 'whenAllDown'];
  if (whenAllDown === 'sorry' && sorry === undefined) {
    const advice = 'give the server too, such as sorry: 192.0.2.99';
    return [
      {
        path: at,
        at: 'value',
        found: 'sorry without a sorry server',
        allowed: 'refuse or failOpen',
        advice,
      },
    ];
  }
  if (sorry === undefined || whenAllDown === undefined || whenAllDown === 'sorry') return [];
  if (whenAllDown !== 'refuse' && whenAllDown !== 'failOpen') return [];
  const found = `${whenAllDown} beside a sorry server`;
  return [
    { path: at, at: 'value', found, allowed: 'sorry', advice: 'or leave the sorry server out' },
  ];
}

function oneDatagramAlone(path: DataPath, service: Mapping): Finding[] {
  if (service.onePacket !== true) return [];
  const at = [...path, 'onePacket'];
  const findings: Finding[] = [];
  for (const protocol of [service.protocol ?? 'tcp'].flat().filter((each) => each !== 'udp')) {
    if (!PROTOCOLS.some((name) => name === protocol)) continue;
    const advice = 'a connection has more than one packet';
    findings.push({
      path: at,
      at: 'value',
      found: `true with protocol ${protocol}`,
      allowed: 'true with protocol udp alone',
      advice,
    });
  }
  const reals = [...(Array.isArray(service.reals) ? service.reals : []), service.sorry];
  for (const method of ['nat', 'fullnat']) {
    const isOfReal = reals.some((real) => isMapping(real) && real.method === method);
    if (service.method !== method && !isOfReal) continue;
    const advice =
      'no flow is kept that would lead the replies back: IPVS lets them out with the address of the real';
    findings.push({
      path: at,
      at: 'value',
      found: `true with method ${method}`,
      allowed: 'true with dsr or a tunnel',
      advice,
    });
  }
  if (service.persistence !== undefined) {
    const advice = 'with persistence every datagram of a client goes to one real';
    findings.push({
      path: at,
      at: 'value',
      found: 'true beside persistence',
      allowed: 'one of the two',
      advice,
    });
  }
  return findings;
}

function slowHashes(path: DataPath, { slowStart }: Mapping, scheduler?: SchedulerName): Finding[] {
  if (slowStart === undefined || scheduler === undefined || !BY_HASH.includes(scheduler)) return [];
  const others = SCHEDULER_NAMES.filter((name) => !BY_HASH.includes(name));
  const advice =
    'by hash each client has its real, and directors agree on it; a growing share would undo both';
  const found = `slowStart with scheduler ${scheduler}`;
  return [
    {
      path: [...path, 'slowStart'],
      at: 'key',
      found,
      allowed: `it with ${others.join(', ')}`,
      advice,
    },
  ];
}

function realMisfits(path: DataPath, real: unknown): Finding[] {
  if (!isMapping(real)) return [];
  const { drain, thresholds } = real;
  const findings: Finding[] = [];
  if (isMapping(drain) && drain.timeout !== undefined && (drain.old ?? 'keep') === 'keep') {
    const advice = 'old flows that are kept live to their end';
    findings.push({
      path: [...path, 'drain', 'timeout'],
      at: 'key',
      found: 'a timeout with old: keep',
      allowed: 'it with old: cut or old: reset',
      advice,
    });
  }
  if (!isMapping(thresholds)) return findings;
  const { upper, lower } = thresholds;
  if (typeof upper === 'number' && typeof lower === 'number' && lower > upper) {
    findings.push({
      path: [...path, 'thresholds', 'lower'],
      at: 'value',
      found: describe(lower),
      allowed: `at most upper, which is ${upper}`,
    });
  }
  return findings;
}
