// A prefix of IPv6 as VIPs with real programs: nginx and curl, ping and the client's own neighbour
// discovery. SCTP over IPv6 with raw sockets and a CRC32c of Python's own, for kernels that have
// none.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curl } from '../../lab/hosts/curl.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import {
  EXACT_VIP6,
  manyPorts6Config,
  PREFIX6,
  SCTP_PORT6,
  SCTP_VIP6,
} from '../../lab/topologies/many-ports6.ts';
import { NAT6 } from '../../lab/topologies/nat6.ts';
import { until } from '../../lab/wait.ts';
import { SCTP_PYTHON } from './sctp-python.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'python3']);

const PYTHON = `${SCTP_PYTHON}def read(data):
    good = struct.unpack('<I', data[8:12])[0] == crc(data[:8] + bytes(4) + data[12:])
    return struct.unpack('!HHI', data[:8]) + (data[12], good)
link = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 132)
link.settimeout(20)
`;
/** Answers every INIT by an INIT ACK, from the address that it is told. */
const SERVER = `${PYTHON}
link.bind((sys.argv[1], 0))
print('ready', flush=True)
while True:
    try:
        data, client = link.recvfrom(2000)
    except TimeoutError:
        continue
    source, destination, tag, chunk, good = read(data)
    if chunk == 1 and good:
        link.sendto(packet(destination, source, 77, 2), (client[0], 0))
`;
const CLIENT = `${PYTHON}
link.sendto(packet(40000, ${SCTP_PORT6}, 0, 1), (sys.argv[1], 0))
while True:
    data, server = link.recvfrom(2000)
    if server[0] == sys.argv[1]:
        break
print(read(data))
`;

describe.skipIf(reason !== undefined).each(['ring', 'cap'] as const)(
  `a prefix and SCTP over IPv6 by %s${reason ? `: ${reason}` : ''}`,
  (datapath) => {
    let lab: Lab;
    let director: Director;

    beforeAll(async () => {
      lab = await buildTopology(NAT6, { offloads: datapath === 'cap' ? 'off' : 'on' });
      await startNginx(lab, 'r1', { ports: [80, 443, 50_000] });
      await startNginx(lab, 'r2', { ports: [80] });
      const text = (socket: string) => manyPorts6Config(socket, datapath);
      director = await startDirectorWith(lab, NAT6, text);
    });
    afterAll(() => lab?.close());

    it.each([
      ['2001:db8::5:0:0:0', 80, 'r1'],
      ['2001:db8::5:ffff:ffff:ffff', 443, 'r1'],
      ['2001:db8::5:1:2:3', 50_000, 'r1'],
      [EXACT_VIP6, 443, 'r1'],
      [EXACT_VIP6, 80, 'r2'],
    ])('reaches %s port %i', async (vip, port, real) => {
      const url = `http://[${vip}]:${port}/64KiB`;
      const answer = await curl(lab, { host: 'client', url, timeoutSeconds: 5 });
      expect(answer).toMatchObject({ ok: true, real });
    });

    it('answers pings to any address of the prefix', async () => {
      const argv = ['ping', '-6', '-c1', '-W2', '2001:db8::5:9:8:7'];
      expect((await lab.exec('client', argv)).stdout).toContain('1 received');
    });

    it('brings an SCTP INIT and its answer with good sums', async () => {
      const argv = ['python3', '-c', SERVER, 'fd77::11'];
      const server = lab.spawn('r1', { name: 'sctp', argv });
      await until('the SCTP server', async () => server.whyNot() ?? true);
      const answered = await until('an answer by SCTP', async () => {
        const ask = ['timeout', '2', 'python3', '-c', CLIENT, SCTP_VIP6];
        const { stdout } = await lab.exec('client', ask, { onFailure: 'return' });
        return stdout !== '' && stdout.trim();
      });
      // Ports, tag, INIT ACK and a good sum.
      expect(answered).toBe(`(${SCTP_PORT6}, 40000, 77, 2, True)`);
      await server.stop('SIGTERM');
    });

    it('shows its services as they were configured, and drops nothing', async () => {
      const { services, drops } = await director.status();
      expect(services[0]).toMatchObject({ vips: [PREFIX6], ports: ['any'] });
      expect(services[2]).toMatchObject({ protocols: ['sctp'] });
      expect(drops).toEqual({});
    });
  },
);
