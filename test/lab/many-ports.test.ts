// Several ports, ranges, VIPs and a prefix of them with real programs: nginx on many ports and
// curl, by DSR and by NAT. SCTP with raw sockets and a CRC32c of Python's own, for kernels that
// have none.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curl } from '../../lab/hosts/curl.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import {
  DSR_VIPS,
  EXACT_VIP,
  MANY_PORTS,
  manyPortsConfig,
  PREFIX,
  SCTP_NAT_VIP,
  SCTP_PORT,
} from '../../lab/topologies/many-ports.ts';
import { until } from '../../lab/wait.ts';
import { SCTP_PYTHON } from './sctp-python.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'python3']);

const PYTHON = `${SCTP_PYTHON}def read(raw):
    data = raw[(raw[0] & 15) * 4:]
    good = struct.unpack('<I', data[8:12])[0] == crc(data[:8] + bytes(4) + data[12:])
    return struct.unpack('!HHI', data[:8]) + (data[12], good, socket.inet_ntoa(raw[12:16]))
link = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
link.settimeout(20)
`;
/** Answers every INIT by an INIT ACK, from the address that it is told. */
const SERVER = `${PYTHON}
link.bind((sys.argv[1], 0))
print('ready', flush=True)
while True:
    try:
        raw = link.recv(2000)
    except TimeoutError:
        continue
    source, destination, tag, chunk, good, client = read(raw)
    if chunk == 1 and good:
        link.sendto(packet(destination, source, 77, 2), (client, 0))
`;
const CLIENT = `${PYTHON}
link.sendto(packet(40000, ${SCTP_PORT}, 0, 1), (sys.argv[1], 0))
while True:
    answer = read(link.recv(2000))
    if answer[5] == sys.argv[1]:
        break
print(answer)
`;

describe.skipIf(reason !== undefined).each(['ring', 'cap'] as const)(
  `many ports by %s${reason ? `: ${reason}` : ''}`,
  (datapath) => {
    let lab: Lab;
    let director: Director;

    beforeAll(async () => {
      lab = await buildTopology(MANY_PORTS, { offloads: datapath === 'cap' ? 'off' : 'on' });
      await startNginx(lab, 'r1', { ports: [80, 8000, 8005, 8010, 8011] });
      await startNginx(lab, 'r2', { ports: [80, 443, 50_000] });
      await startNginx(lab, 'r3', { ports: [8080] });
      const text = (socket: string) => manyPortsConfig(socket, datapath);
      director = await startDirectorWith(lab, MANY_PORTS, text);
    });
    afterAll(() => lab?.close());

    const ask = (vip: string, port: number, timeoutSeconds = 5) =>
      curl(lab, { host: 'client', url: `http://${vip}:${port}/64KiB`, timeoutSeconds });

    it('reaches each port of the list and of the range on both VIPs, by DSR', async () => {
      for (const vip of DSR_VIPS) {
        for (const port of [80, 8000, 8005, 8010]) {
          const remote = `${vip}:${port}`;
          expect(await ask(vip, port)).toMatchObject({ ok: true, real: 'r1', remote });
        }
      }
    });

    it('reaches no port beside it, although the real listens there', async () => {
      expect((await ask(DSR_VIPS[0], 8011, 1)).ok).toBe(false);
      await until('its drop to be counted', async () => {
        const { drops } = await director.status();
        return drops['no-service'] !== undefined;
      });
    });

    it('reaches any port of any address of the prefix, by NAT', async () => {
      const places = [
        ...([
          ['198.51.100.128', 80],
          ['198.51.100.135', 443],
        ] as const),
        ...([
          ['198.51.100.143', 50_000],
          [EXACT_VIP, 443],
        ] as const),
      ];
      for (const [vip, port] of places) {
        const remote = `${vip}:${port}`;
        expect(await ask(vip, port)).toMatchObject({ ok: true, real: 'r2', remote });
      }
    });

    it('takes the service of one address before that of its prefix', async () => {
      expect(await ask(EXACT_VIP, 80)).toMatchObject({ ok: true, real: 'r3' });
    });

    it('answers pings to an address of the prefix', async () => {
      const { stdout } = await lab.exec('client', ['ping', '-c1', '-W2', '198.51.100.140']);
      expect(stdout).toContain('1 received');
    });

    it.each([
      ['DSR', 'r1', DSR_VIPS[0], DSR_VIPS[0]],
      ['NAT', 'r2', '10.77.0.12', SCTP_NAT_VIP],
    ])('brings an SCTP INIT and its answer with good sums: %s', async (_, real, own, vip) => {
      const server = lab.spawn(real, { name: 'sctp', argv: ['python3', '-c', SERVER, own] });
      await until('the SCTP server', async () => server.whyNot() ?? true);
      const answered = await until('an answer by SCTP', async () => {
        const argv = ['timeout', '2', 'python3', '-c', CLIENT, vip];
        const { stdout } = await lab.exec('client', argv, { onFailure: 'return' });
        return stdout !== '' && stdout.trim();
      });
      // Ports, tag, INIT ACK, a good sum, and from whom.
      expect(answered).toBe(`(${SCTP_PORT}, 40000, 77, 2, True, '${vip}')`);
      await server.stop('SIGTERM');
    });

    it('shows each service once, as it was configured', async () => {
      const { services, drops } = await director.status();
      expect(services.map(({ name }) => name)).toEqual([
        ...['web', 'block', 'exact', 'sctp-dsr', 'sctp-nat'],
      ]);
      expect(services[0]).toMatchObject({ vips: [...DSR_VIPS], ports: ['80', '8000-8010'] });
      expect(services[1]).toMatchObject({ vips: [PREFIX], ports: ['any'] });
      expect(services[1]?.protocols).toEqual(['tcp', 'udp']);
      expect(Object.keys(drops)).toEqual(['no-service']);
    });
  },
);
