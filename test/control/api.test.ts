// Server and client of the API over real Unix sockets: what they say to each other, and what the
// operator is told where there is no director, a dead one, another one, or something else.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ApiError,
  type ApiServer,
  type ApiSource,
  DEFAULT_FLOW_LIMIT,
  fetchFlows,
  fetchStatus,
  serveApi,
} from '../../src/control/api.ts';
import type { FlowStatus } from '../../src/control/status.ts';
import { QUIET_STATUS } from '../cli/statuses.ts';

const FLOW: FlowStatus = {
  protocol: 'tcp',
  client: '192.0.2.100',
  clientPort: 40_000,
  vip: '192.0.2.10',
  vipPort: 80,
  real: '192.0.2.21',
  realPort: 80,
  method: 'dsr',
  state: 'established',
  expiresInMs: 900_000,
};

let directory: string;
let socket: string;
const open: ApiServer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'furiwake-api-'));
  socket = join(directory, 's');
});
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
  rmSync(directory, { recursive: true });
});

async function serve(change: Partial<ApiSource> = {}): Promise<ApiServer> {
  const server = await serveApi({
    socket,
    status: () => QUIET_STATUS,
    flows: async (limit) => new Array<FlowStatus>(limit).fill(FLOW),
    ...change,
  });
  open.push(server);
  return server;
}

/** One request by hand. */
function ask(method: string, path: string): Promise<{ code: number; type: string; body: unknown }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, method, path, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({
          code: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body: JSON.parse(text),
        }),
      );
    });
    outgoing.on('error', reject).end();
  });
}

/** A socket file that nobody listens on, as a killed director leaves it. */
function leaveSocketBehind(): void {
  const script =
    "require('node:net').createServer()" +
    ".listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
  spawnSync(process.execPath, ['-e', script, socket]);
  expect(existsSync(socket)).toBe(true);
}

describe('the API', () => {
  it('tells the status', async () => {
    await serve();
    expect(await fetchStatus(socket)).toEqual(QUIET_STATUS);
  });

  it('tells as many flows as were asked for', async () => {
    await serve();
    expect(await fetchFlows(socket, 3)).toEqual([FLOW, FLOW, FLOW]);
    expect((await ask('GET', '/flows')).body).toHaveLength(DEFAULT_FLOW_LIMIT);
  });

  it('is for the owner and the group only', async () => {
    await serve();
    expect(statSync(socket).mode & 0o777).toBe(0o660);
  });

  it('leaves the umask as it was', async () => {
    const before = process.umask();
    await serve();
    expect(process.umask()).toBe(before);
  });

  const limit = 'limit: allowed a whole number from 1 to 100000';
  it.each([
    ['GET', '/', 404, 'found /, allowed /status and /flows?limit=N'],
    ['GET', '//[', 404, 'found //[, allowed /status and /flows?limit=N'],
    ['POST', '/status', 405, 'found POST, allowed GET'],
    ['GET', '/flows?limit=0', 400, limit],
    ['GET', '/flows?limit=100001', 400, limit],
    ['GET', '/flows?limit=1e3', 400, limit],
    ['GET', '/flows?limit=', 400, limit],
  ])('refuses %s %s', async (method, path, code, error) => {
    await serve();
    expect(await ask(method, path)).toEqual({ code, type: 'application/json', body: { error } });
  });

  it('passes on what went wrong inside, and goes on', async () => {
    await serve({ flows: () => Promise.reject(new Error('the data plane does not answer')) });
    await expect(fetchFlows(socket, 1)).rejects.toThrow(
      new ApiError(`the director at ${socket} answers: the data plane does not answer`),
    );
    expect(await fetchStatus(socket)).toEqual(QUIET_STATUS);
  });

  it('removes its socket and ends its connections when it closes', async () => {
    const unanswered = new Promise<never>(() => {});
    const server = await serve({ flows: () => unanswered });
    const asked = fetchFlows(socket, 1);
    const refused = expect(asked).rejects.toThrow(ApiError);
    await fetchStatus(socket);
    await server.close();
    await refused;
    expect(existsSync(socket)).toBe(false);
  });
});

describe('a socket path that is taken', () => {
  it('is refused while another director serves it, which goes on', async () => {
    await serve();
    await expect(serve()).rejects.toThrow(
      new ApiError(
        `another director serves ${socket}; ` +
          'stop it, or give another path as `socket:` in the configuration',
      ),
    );
    expect(await fetchStatus(socket)).toEqual(QUIET_STATUS);
  });

  it('is taken over from a director that died', async () => {
    leaveSocketBehind();
    await serve();
    expect(await fetchStatus(socket)).toEqual(QUIET_STATUS);
  });

  it('is refused, and kept, if it is no socket', async () => {
    writeFileSync(socket, 'precious');
    await expect(serve()).rejects.toThrow(`${socket} exists and is no socket`);
    expect(statSync(socket).size).toBe(8);
  });

  it('is refused in a directory that does not exist', async () => {
    socket = join(directory, 'missing', 's');
    await expect(serve()).rejects.toThrow(
      new ApiError(
        `cannot serve ${socket}: its directory does not exist; ` +
          '`socket:` in the configuration gives the path',
      ),
    );
  });
});

describe('a client without a director', () => {
  it('says that there is no socket', async () => {
    await expect(fetchStatus(socket)).rejects.toThrow(
      `no director runs at ${socket} (there is no such socket)`,
    );
  });

  it('says that the last director is dead', async () => {
    leaveSocketBehind();
    await expect(fetchStatus(socket)).rejects.toThrow(`no director runs at ${socket} any more`);
  });

  it('says that the path is no socket', async () => {
    writeFileSync(socket, 'precious');
    await expect(fetchStatus(socket)).rejects.toThrow(`${socket} is no socket; name the`);
  });

  it.each([
    ['no HTTP', 'hello\r\n'],
    ['no JSON', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'],
  ])('says that something else speaks there: %s', async (_, words) => {
    const foreign = createServer((connection) => connection.resume().end(words));
    await new Promise<void>((resolve) => foreign.listen(socket, resolve));
    await expect(fetchStatus(socket)).rejects.toThrow(
      new ApiError(`what answers at ${socket} is no furiwake director`),
    );
    await new Promise((resolve) => foreign.close(resolve));
  });
});
